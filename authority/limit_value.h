// One field of a limits message, compiled: a meet-semilattice of one of the kinds
// of capbroker.v1.LimitKind, whose bottom, the unset field, allows nothing.
//
// Lives in: service processes and the broker. Immutable; thread-safe.
#ifndef AUTHORITY_LIMIT_VALUE_H_
#define AUTHORITY_LIMIT_VALUE_H_

#include <cstddef>
#include <utility>
#include <variant>

#include "absl/status/statusor.h"
#include "authority/cidr_set.h"
#include "authority/integer_set.h"
#include "authority/magnitudes.h"
#include "authority/name_patterns.h"
#include "authority/path_set.h"
#include "authority/request_values.h"
#include "authority/schema.h"
#include "authority/text_set.h"
#include "google/protobuf/message.h"

namespace capbroker::authority {

inline constexpr size_t kMaxLimitEntries = 100'000;  // of one field
inline constexpr size_t kMaxLimitEntryBytes = 4096;

class LimitValue {
 public:
  // Reads `field` of `limits`. INVALID_ARGUMENT, with the field's name, for a
  // malformed entry, too many or too long ones.
  static absl::StatusOr<LimitValue> Read(const LimitField& field,
                                         const google::protobuf::Message& limits);

  // Sets `field` of `limits`, which must be unset, to the canonical form.
  void Write(const LimitField& field, google::protobuf::Message& limits) const;

  bool Allows(const RequestValue& value) const;

  friend LimitValue Meet(const LimitValue& a, const LimitValue& b);
  friend bool operator==(const LimitValue& a, const LimitValue& b);

  // The value as one of the kinds below; null when it is another.
  template <typename Kind>
  const Kind* As() const {
    return std::get_if<Kind>(&value_);
  }

 private:
  using Variant = std::variant<TextSet, IntegerSet, NamePatterns, PathSet, CidrSet, Maximum, Flags>;
  explicit LimitValue(Variant value) : value_(std::move(value)) {}

  Variant value_;
};

// What both allow. Both must be of the same limits field.
LimitValue Meet(const LimitValue& a, const LimitValue& b);

}  // namespace capbroker::authority

#endif  // AUTHORITY_LIMIT_VALUE_H_
