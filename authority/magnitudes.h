// LimitKinds MAXIMUM and FLAGS: limits that are one number.
//
// Lives in: service processes and the broker. Immutable; thread-safe.
#ifndef AUTHORITY_MAGNITUDES_H_
#define AUTHORITY_MAGNITUDES_H_

#include <algorithm>
#include <cstdint>

namespace capbroker::authority {

// The largest value that is allowed. 0, the unset field, allows nothing, not
// even a 0; negative values are never allowed.
class Maximum {
 public:
  Maximum() = default;
  explicit Maximum(uint64_t largest) : largest_(largest) {}

  bool Allows(uint64_t value) const { return largest_ != 0 && value <= largest_; }
  uint64_t largest() const { return largest_; }

  friend Maximum Meet(const Maximum& a, const Maximum& b) {
    return Maximum(std::min(a.largest_, b.largest_));
  }
  friend bool operator==(const Maximum&, const Maximum&) = default;

 private:
  uint64_t largest_ = 0;
};

// The bits that are allowed. A value of no bits asks for nothing and is always
// allowed; a method must not rely on FLAGS alone to be limited.
class Flags {
 public:
  Flags() = default;
  explicit Flags(uint64_t bits) : bits_(bits) {}

  bool Allows(uint64_t value) const { return (value & ~bits_) == 0; }
  uint64_t bits() const { return bits_; }

  friend Flags Meet(const Flags& a, const Flags& b) { return Flags(a.bits_ & b.bits_); }
  friend bool operator==(const Flags&, const Flags&) = default;

 private:
  uint64_t bits_ = 0;
};

}  // namespace capbroker::authority

#endif  // AUTHORITY_MAGNITUDES_H_
