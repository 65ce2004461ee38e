// LimitKind SET of strings or bytes: the values that are allowed, or "*" for
// every value.
//
// Lives in: service processes and the broker. Immutable; thread-safe.
#ifndef AUTHORITY_TEXT_SET_H_
#define AUTHORITY_TEXT_SET_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "authority/keyed_hash.h"

namespace capbroker::authority {

class TextSet {
 public:
  TextSet() = default;  // allows nothing
  // Any text is a value; "*" makes all others redundant.
  static TextSet Make(std::vector<std::string> values);
  // Of decimal numbers, as a SET that bounds integers has: "-1", "1000" or "*".
  // INVALID_ARGUMENT: anything that no number is written as ("007", "+1").
  static absl::StatusOr<TextSet> MakeDecimal(std::vector<std::string> values);

  bool Contains(absl::string_view value) const { return everything_ || values_.contains(value); }
  bool empty() const { return !everything_ && values_.empty(); }

  // The canonical form: sorted, or "*" alone.
  std::vector<std::string> Entries() const;

  friend TextSet Meet(const TextSet& a, const TextSet& b);
  friend bool operator==(const TextSet&, const TextSet&) = default;

 private:
  bool everything_ = false;
  KeyedTextSet values_;  // empty when everything_
};

TextSet Meet(const TextSet& a, const TextSet& b);

}  // namespace capbroker::authority

#endif  // AUTHORITY_TEXT_SET_H_
