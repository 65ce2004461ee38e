#include "cli/learned_limits.h"

#include <algorithm>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace capbroker::cli {

void LearnedLimits::Merge(const v1::AuditEvent::Value& value, Field& field) {
  field.kind = value.kind();
  uint64_t number = 0;
  switch (value.kind()) {
    case v1::MAXIMUM:
      // 0 would allow nothing, not even 0.
      if (absl::SimpleAtoi(value.value(), &number)) {
        field.number = std::max({field.number, number, uint64_t{1}});
      }
      break;
    case v1::FLAGS:
      if (absl::SimpleAtoi(value.value(), &number)) field.number |= number;
      break;
    default:
      field.entries.insert(value.value());
  }
}

void LearnedLimits::Add(const v1::AuditEvent& event) {
  if (event.family() == 0) return;
  const auto grant = [&]() -> Grant& {
    return grants_[{event.worker(), event.grant(), event.service()}];
  };
  switch (event.kind()) {
    case v1::AuditEvent::LEARNED:
      for (const v1::AuditEvent::Value& value : event.values()) {
        Merge(value, grant().fields[value.field()]);
      }
      break;
    case v1::AuditEvent::DENIED:
      ++grant().denied;
      break;
    case v1::AuditEvent::LEFT_OUT:
      if (event.left_out() == v1::AuditEvent::LEARNED) grant().missing += event.count();
      if (event.left_out() == v1::AuditEvent::DENIED) grant().denied += event.count();
      break;
    default:
      break;
  }
}

std::string LearnedLimits::ToText() const {
  std::string text;
  for (const auto& [whose, grant] : grants_) {
    const auto& [worker, name, service] = whose;
    if (!text.empty()) text += "\n";
    absl::StrAppend(
        &text, "# ",
        worker == 0 ? "the application" : absl::StrCat("worker ", worker, ", grant \"", name, "\""),
        ": ", service, "\n");
    for (const auto& [field_name, field] : grant.fields) {
      if (field.kind == v1::MAXIMUM || field.kind == v1::FLAGS) {
        if (field.number != 0) absl::StrAppend(&text, field_name, ": ", field.number, "\n");
        continue;
      }
      for (const std::string& entry : field.entries) {
        absl::StrAppend(&text, field_name, ": ", entry, "\n");
      }
    }
    if (grant.denied != 0) {
      absl::StrAppend(&text, "# ", grant.denied,
                      " calls were denied: what they needed is not among this\n");
    }
    if (grant.missing != 0) {
      absl::StrAppend(&text, "# ", grant.missing,
                      " values are missing: too many, or such as cannot be granted alone\n");
    }
  }
  return text;
}

}  // namespace capbroker::cli
