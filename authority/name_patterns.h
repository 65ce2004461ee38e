// LimitKind NAME_PATTERNS: DNS names, and subtrees of them.
//
// "a.b" allows that name, "*.a.b" every name below it and not itself, "*" every
// name. Names are compared without case and without one final dot. A name
// consists of labels of 1 to 63 letters, digits, "-", "_", ":" and "%" (so that
// numeric addresses are names too), 253 bytes in all. Anything else is never
// allowed, not by "*" either: a NUL, an escape or a space is where the checker and
// a C library would read two different names.
//
// Lives in: service processes and the broker. Immutable; thread-safe.
#ifndef AUTHORITY_NAME_PATTERNS_H_
#define AUTHORITY_NAME_PATTERNS_H_

#include <bitset>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "authority/keyed_hash.h"

namespace capbroker::authority {

inline constexpr size_t kMaxNameBytes = 253;
inline constexpr size_t kMaxLabelBytes = 63;

// Lower case, without a final dot; nothing when it is not a name.
std::optional<std::string> NormalizeName(absl::string_view name);

class NamePatterns {
 public:
  NamePatterns() = default;  // allows nothing
  // INVALID_ARGUMENT: an entry that is no pattern.
  static absl::StatusOr<NamePatterns> Make(const std::vector<std::string>& patterns);

  bool Matches(absl::string_view name) const;
  bool empty() const { return !everything_ && entries_.empty(); }

  // The canonical form: normalized, sorted, without what other patterns cover.
  std::vector<std::string> Entries() const;

  friend NamePatterns Meet(const NamePatterns& a, const NamePatterns& b);
  friend bool operator==(const NamePatterns& a, const NamePatterns& b) {
    return a.everything_ == b.everything_ && a.entries_ == b.entries_;
  }

 private:
  enum Grant : uint8_t { kItself = 1, kBelow = 2 };

  // Whether every name of the pattern is allowed: all below `name`, or it alone.
  bool Covers(absl::string_view name, Grant grant) const;
  void Insert(absl::string_view name, Grant grant);
  void DropCovered();

  bool everything_ = false;
  bool some_itself_ = false;  // whether any entry has kItself
  // By normalized name, without "*.": what is granted, a set of Grant.
  KeyedTextMap<uint8_t> entries_;
  // Numbers of labels that names with kBelow have: which suffixes to look up.
  std::bitset<kMaxNameBytes / 2 + 2> depths_;
};

NamePatterns Meet(const NamePatterns& a, const NamePatterns& b);

}  // namespace capbroker::authority

#endif  // AUTHORITY_NAME_PATTERNS_H_
