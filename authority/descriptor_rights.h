// Which messages carry descriptors, and whether each says what it may be used for.
// Part of compiling a schema (authority/schema.h).
#ifndef AUTHORITY_DESCRIPTOR_RIGHTS_H_
#define AUTHORITY_DESCRIPTOR_RIGHTS_H_

#include "absl/status/statusor.h"
#include "google/protobuf/descriptor.h"

namespace capbroker::authority {

// Whether the field's type is capbroker.v1.Descriptor.
bool IsDescriptorField(const google::protobuf::FieldDescriptor& field);

enum class Direction { kRequest, kResponse };

// Whether a message of `type` has a descriptor field, at any depth. INVALID_ARGUMENT,
// with the field's full name: a descriptor without kinds, in a map, with rights
// that nothing of its kinds can have, with a lease in a request, or rights on a field that is
// no descriptor.
absl::StatusOr<bool> CarriesDescriptors(const google::protobuf::Descriptor& type,
                                        Direction direction);

}  // namespace capbroker::authority

#endif  // AUTHORITY_DESCRIPTOR_RIGHTS_H_
