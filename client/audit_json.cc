#include "client/audit_json.h"

#include <google/protobuf/util/json_util.h>

#include "absl/strings/str_cat.h"

namespace capbroker {

std::string ToJsonLine(const v1::AuditEvent& event) {
  google::protobuf::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  std::string line;
  // Fails for no event: every text of it is printable ASCII.
  (void)google::protobuf::util::MessageToJsonString(event, &line, options);
  return line;
}

absl::StatusOr<v1::AuditEvent> FromJsonLine(absl::string_view line) {
  v1::AuditEvent event;
  const auto parsed =
      google::protobuf::util::JsonStringToMessage({line.data(), line.size()}, &event);
  if (!parsed.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat("not an audit event: ", std::string(parsed.message())));
  }
  return event;
}

}  // namespace capbroker
