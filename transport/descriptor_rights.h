// Whether the descriptors beside a message are what its proto declares.
//
// Both ends check, on send and on receive. INVARIANT(no-descriptor-undeclared):
// every descriptor of a packet is named by exactly one field, and has the kind,
// access mode, seals and size that the field's `rights` declare. What these rights are
// worth in a holder that is not confined: docs/design/descriptor_rights.md.
//
// Runs in every process. May be used in a compromised process.
#ifndef TRANSPORT_DESCRIPTOR_RIGHTS_H_
#define TRANSPORT_DESCRIPTOR_RIGHTS_H_

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>

#include <cstdint>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/types/span.h"
#include "base/unique_fd.h"
#include "capbroker/v1/authority.pb.h"

namespace capbroker::transport {

// Whether messages of `type` can name descriptors, at any depth.
bool CarriesDescriptors(const google::protobuf::Descriptor* type);

// Calls `visit(field, slot)` for every descriptor that the message names, at any depth, until
// one fails. The slot, which counts from 1, is what the message says.
using DescriptorVisit =
    absl::FunctionRef<absl::Status(const google::protobuf::FieldDescriptor&, uint32_t)>;
absl::Status VisitDescriptors(const google::protobuf::Message& message, DescriptorVisit visit);

// Checks one descriptor. INVALID_ARGUMENT names what differs.
absl::Status CheckRights(FdRef fd, const v1::DescriptorRights& rights);

// Checks all that `message` names against all that there are.
absl::Status CheckDescriptors(const google::protobuf::Message& message,
                              absl::Span<const FdRef> descriptors);

// On send, before the check: puts a descriptor with less access in the place of one that a
// `reduced` field names and that has more. FAILED_PRECONDITION: it cannot be had.
absl::Status ReduceDescriptors(const google::protobuf::Message& message,
                               absl::Span<UniqueFd> descriptors);

}  // namespace capbroker::transport

#endif  // TRANSPORT_DESCRIPTOR_RIGHTS_H_
