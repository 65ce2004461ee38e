// Limits as text where they are granted, in protobuf's text format:
//
//   CB_ASSIGN_OR_RETURN(const dns::v1::ResolverLimits limits,
//                       ParseLimits<dns::v1::ResolverLimits>(
//                           "names: '*.debian.org' directions: DIRECTION_FORWARD "
//                           "address_ranges: ['0.0.0.0/0', '::/0']"));
//   broker.Open(Resolve(limits));
//
// For limits that a program reads: a configuration, a command line. An error says where and
// what, with the reason that the broker would give:
//
//   2:8: names: "*.*" is not a name pattern
//
// Lives in: the application. Thread-safe: functions without state.
#ifndef CLIENT_PARSE_LIMITS_H_
#define CLIENT_PARSE_LIMITS_H_

#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "google/protobuf/message.h"

namespace capbroker {

// Sets `limits` to what the text says. INVALID_ARGUMENT: "line:column: field: reason". The values
// are checked, too, if the service of these limits is declared in the same file; where it is not,
// the broker checks them when it opens the service.
absl::Status ParseLimitsInto(absl::string_view text, google::protobuf::Message* limits);

template <typename Limits>
absl::StatusOr<Limits> ParseLimits(absl::string_view text) {
  Limits limits;
  if (absl::Status parsed = ParseLimitsInto(text, &limits); !parsed.ok()) return parsed;
  return limits;
}

}  // namespace capbroker

#endif  // CLIENT_PARSE_LIMITS_H_
