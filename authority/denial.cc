#include "authority/denial.h"

#include <cstddef>

#include "absl/strings/ascii.h"
#include "absl/strings/cord.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace capbroker::authority {
namespace {

constexpr size_t kShownBytes = 64;

std::string TypeUrl() {
  return absl::StrCat("type.googleapis.com/", v1::Denial::descriptor()->full_name());
}

// "GetGroupByName" as people say it: "get group by name".
std::string Words(absl::string_view method) {
  std::string words;
  for (char c : method) {
    if (absl::ascii_isupper(c) && !words.empty()) words.push_back(' ');
    words.push_back(absl::ascii_tolower(c));
  }
  return words;
}

std::string Reason(const v1::Denial& denial) {
  switch (denial.reason()) {
    case v1::Denial::NOT_IN_LIMITS:
      return absl::StrCat("not in limits.", denial.field());
    case v1::Denial::METHOD_NOT_ALLOWED:
      return denial.field().empty() ? "method not in the limits"
                                    : absl::StrCat("method not in limits.", denial.field());
    case v1::Denial::REVOKED:
      return "channel revoked";
    case v1::Denial::BUDGET_EXHAUSTED:
      return absl::StrCat("budget.", denial.field(), " is used up");
    case v1::Denial::OBJECT_REFUSED:
      return denial.field().empty() ? "object refused"
                                    : absl::StrCat("object not in limits.", denial.field());
    case v1::Denial::UNKNOWN_FIELD:
      return absl::StrCat("unknown field in ", denial.field());
    case v1::Denial::TOO_LONG:
      return absl::StrCat(denial.field(), " is too long");
    default:
      return "denied";
  }
}

}  // namespace

Refusal MakeRefusal(v1::Denial::Reason reason, absl::string_view field, absl::string_view method,
                    absl::string_view value) {
  Refusal refusal;
  refusal.denial.set_reason(reason);
  refusal.denial.set_field(std::string(field));
  refusal.denial.set_method(std::string(method));
  // A value can be megabytes.
  refusal.value = std::string(value.substr(0, kMostRefusedBytes + 1));
  return refusal;
}

absl::Status ToStatus(const Refusal& refusal) {
  std::string message = Words(refusal.denial.method());
  if (!refusal.value.empty()) {
    const absl::string_view value = refusal.value;
    // The value is the peer's own text, and may end up in a log or on a terminal.
    absl::StrAppend(&message, message.empty() ? "" : " ", "\"",
                    absl::CHexEscape(value.substr(0, kShownBytes)),
                    value.size() > kShownBytes ? "...\"" : "\"");
  }
  absl::StrAppend(&message, message.empty() ? "" : ": ", Reason(refusal.denial));
  const absl::StatusCode code = refusal.denial.reason() == v1::Denial::BUDGET_EXHAUSTED
                                    ? absl::StatusCode::kResourceExhausted
                                    : absl::StatusCode::kPermissionDenied;
  absl::Status status(code, message);
  status.SetPayload(TypeUrl(), absl::Cord(refusal.denial.SerializeAsString()));
  return status;
}

std::optional<v1::Denial> DenialOf(const absl::Status& status) {
  const absl::optional<absl::Cord> payload = status.GetPayload(TypeUrl());
  v1::Denial denial;
  if (!payload.has_value() || !denial.ParseFromString(std::string(*payload))) return std::nullopt;
  return denial;
}

std::string SerializeDetails(const absl::Status& status) {
  v1::RpcStatus details;
  details.set_code(static_cast<int>(status.code()));
  details.set_message(std::string(status.message()));
  status.ForEachPayload([&details](absl::string_view type_url, const absl::Cord& payload) {
    google::protobuf::Any* const detail = details.add_details();
    detail->set_type_url(std::string(type_url));
    detail->set_value(std::string(payload));
  });
  return details.details().empty() ? "" : details.SerializeAsString();
}

// TRUST(worker): also used where a service reads what another one answered.
std::optional<v1::Denial> DenialInDetails(absl::string_view details) {
  v1::RpcStatus status;
  if (!status.ParseFromArray(details.data(), static_cast<int>(details.size()))) {
    return std::nullopt;
  }
  for (const google::protobuf::Any& detail : status.details()) {
    v1::Denial denial;
    if (detail.Is<v1::Denial>() && detail.UnpackTo(&denial)) return denial;
  }
  return std::nullopt;
}

}  // namespace capbroker::authority
