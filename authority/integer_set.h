// LimitKind SET of integers or enum numbers: the values that are allowed.
//
// Lives in: service processes and the broker. Immutable; thread-safe.
#ifndef AUTHORITY_INTEGER_SET_H_
#define AUTHORITY_INTEGER_SET_H_

#include <cstdint>
#include <vector>

#include "authority/keyed_hash.h"

namespace capbroker::authority {

// Holds 64 bits of either signedness; the schema sees to it that both sides of a
// comparison have the same one.
class IntegerSet {
 public:
  IntegerSet() = default;  // allows nothing
  explicit IntegerSet(const std::vector<int64_t>& values) {
    for (int64_t value : values) Insert(value);
  }

  bool Contains(int64_t value) const {
    if (static_cast<uint64_t>(value) < 64) return ((small_ >> value) & 1) != 0;
    return !others_.empty() && others_.contains(value);
  }
  bool empty() const { return small_ == 0 && others_.empty(); }

  std::vector<int64_t> Entries() const;  // the canonical form: sorted

  friend IntegerSet Meet(const IntegerSet& a, const IntegerSet& b);
  friend bool operator==(const IntegerSet&, const IntegerSet&) = default;

 private:
  void Insert(int64_t value);

  uint64_t small_ = 0;  // bit n: n is in the set; enough for nearly every enum
  KeyedIntegerSet others_;
};

IntegerSet Meet(const IntegerSet& a, const IntegerSet& b);

}  // namespace capbroker::authority

#endif  // AUTHORITY_INTEGER_SET_H_
