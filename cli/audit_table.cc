#include "cli/audit_table.h"

#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/time/time.h"

namespace capbroker::cli {
namespace {

using v1::AuditEvent;

std::string Who(const AuditEvent& event) {
  if (event.worker() == 0) return event.family() == 0 ? "" : "application";
  return absl::StrCat("worker ", event.worker(), event.grant().empty() ? "" : " ", event.grant());
}

std::string Values(const AuditEvent& event) {
  return absl::StrJoin(event.values(), ", ", [](std::string* out, const auto& value) {
    absl::StrAppend(out, value.field(), value.value().empty() ? "" : " ", value.value());
  });
}

std::string What(const AuditEvent& event) {
  std::vector<std::string> parts;
  switch (event.kind()) {
    case AuditEvent::ALLOWED:
    case AuditEvent::DENIED:
    case AuditEvent::LEARNED:
      if (!event.values().empty()) parts.push_back(Values(event));
      break;
    case AuditEvent::DELIVERED:
    case AuditEvent::NOT_TAKEN_BACK:
      parts.push_back(absl::StrCat(event.count(), " descriptors"));
      break;
    case AuditEvent::SHUT_DOWN:
      parts.push_back(absl::StrCat(event.count(), " connections"));
      break;
    case AuditEvent::LEFT_OUT:
      parts.push_back(
          absl::StrCat(event.count(), " events ", AuditEvent::Kind_Name(event.left_out())));
      break;
    case AuditEvent::CLONED:
      parts.push_back(absl::StrCat("from channel ", event.parent()));
      break;
    default:
      break;
  }
  if (event.kind() == AuditEvent::DENIED) {
    parts.push_back(v1::Denial::Reason_Name(event.reason()));
  }
  if (!event.text().empty()) parts.push_back(event.text());
  const std::string what = absl::StrJoin(parts, ", ");
  return event.method().empty() ? what : absl::StrCat(event.method(), ": ", what);
}

std::string Channel(const AuditEvent& event) {
  if (event.family() == 0) return "";
  const std::string name = event.service().substr(event.service().rfind('.') + 1);
  return absl::StrCat(name, " ", event.family(), ".", event.channel());
}

}  // namespace

std::string TableLine(const AuditEvent& event) {
  const absl::Time time =
      absl::FromUnixSeconds(event.time().seconds()) + absl::Nanoseconds(event.time().nanos());
  std::string line = absl::StrFormat(
      "%s  %-18s %-20s %-9s %s", absl::FormatTime("%H:%M:%E3S", time, absl::LocalTimeZone()),
      Who(event), Channel(event), AuditEvent::Kind_Name(event.kind()), What(event));
  line.erase(line.find_last_not_of(' ') + 1);
  return line;
}

}  // namespace capbroker::cli
