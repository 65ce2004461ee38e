// Refusals: one way to say no.
//
// Whoever refuses a call (the limits, a budget, a handler that has looked at the
// object) makes a `Refusal`, and `ToStatus` turns it into a status: code,
// message and a typed detail, the same for every service and on both paths.
// The naive alternative, a code and a text chosen by each service, is how one
// denial comes to be NO_RECOVERY, the next one "not found", and a third one 0.
//
// Lives in: service processes (which make refusals) and workers (which read
// them). Thread-safe: values and functions without state.
#ifndef AUTHORITY_DENIAL_H_
#define AUTHORITY_DENIAL_H_

#include <cstddef>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "capbroker/v1/authority.pb.h"

namespace capbroker::authority {

// What is kept of a refused value.
inline constexpr size_t kMostRefusedBytes = 256;

// A denial, and the value that was refused for people to read.
struct Refusal {
  v1::Denial denial;
  // As the peer sent it, one byte more than kept if it was longer; empty: none to show.
  // ToStatus escapes it and cuts it further.
  std::string value;
};

Refusal MakeRefusal(v1::Denial::Reason reason, absl::string_view field, absl::string_view method,
                    absl::string_view value = {});

// RESOURCE_EXHAUSTED for a budget, PERMISSION_DENIED for every other reason:
//   resolve "db.corp": not in limits.names
// The denial travels as the status's payload.
absl::Status ToStatus(const Refusal& refusal);

// The denial that `status` carries, if any.
std::optional<v1::Denial> DenialOf(const absl::Status& status);

// `status` with its payloads as a serialized capbroker.v1.RpcStatus: the bytes of
// "grpc-status-details-bin". Empty when there is no payload to tell about.
std::string SerializeDetails(const absl::Status& status);

// The denial in details made by SerializeDetails. Takes hostile bytes: anything
// else gives none.
std::optional<v1::Denial> DenialInDetails(absl::string_view details);

}  // namespace capbroker::authority

#endif  // AUTHORITY_DENIAL_H_
