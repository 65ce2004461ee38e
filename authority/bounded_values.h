// The values of a request that limits bound, one after another.
//
// For whoever tells what a call was about (the audit) or learns what calls need.
// The check itself is Limits::Check, which stops at the first value that is not allowed.
//
// Lives in: service processes. Thread-safe: functions without state.
#ifndef AUTHORITY_BOUNDED_VALUES_H_
#define AUTHORITY_BOUNDED_VALUES_H_

#include <string>

#include "absl/functional/function_ref.h"
#include "authority/request_values.h"
#include "authority/schema.h"
#include "google/protobuf/message.h"

namespace capbroker::authority {

// Calls `visit` for every value of `request` that a limits field bounds, and for what the
// method needs, which comes first. Stops when it returns false.
void VisitBoundedValues(const ServiceSchema& schema, const MethodSchema& method,
                        const google::protobuf::Message& request,
                        absl::FunctionRef<bool(const LimitField&, const RequestValue&)> visit);

// Whether some entry of `field` allows `value` and nothing else: "/" and "*" are values, too, but
// as entries they mean everything.
bool HasEntryOfItsOwn(const LimitField& field, const RequestValue& value);

// `value` as it would be written for `field` of the limits in text format, on the right of
// the colon: `"example.org"`, `ADDRESS_FAMILY_INET`, `4096`. Of any bytes printable ASCII.
std::string TextOfValue(const LimitField& field, const RequestValue& value);

}  // namespace capbroker::authority

#endif  // AUTHORITY_BOUNDED_VALUES_H_
