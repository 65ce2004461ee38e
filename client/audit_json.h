// An audit event as a line of JSON: protobuf's own mapping, with the names of the proto.
//
// Lives in: the application, `capbroker audit`. Thread-safe: functions without state.
#ifndef CLIENT_AUDIT_JSON_H_
#define CLIENT_AUDIT_JSON_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "capbroker/v1/audit.pb.h"

namespace capbroker {

// Without the end of the line; has no control characters.
std::string ToJsonLine(const v1::AuditEvent& event);

// INVALID_ARGUMENT: not such a line.
absl::StatusOr<v1::AuditEvent> FromJsonLine(absl::string_view line);

}  // namespace capbroker

#endif  // CLIENT_AUDIT_JSON_H_
