// A second opinion: whether limits allow a request, computed from the two messages
// and the proto's options in the most obvious way. Shares no code with authority/.
#ifndef TESTS_AUTHORITY_NAIVE_CHECK_H_
#define TESTS_AUTHORITY_NAIVE_CHECK_H_

#include <set>
#include <string>

#include "google/protobuf/descriptor.h"
#include "google/protobuf/message.h"

namespace capbroker::testing {

bool NaivelyAllows(const google::protobuf::Message& limits,
                   const google::protobuf::MethodDescriptor& method,
                   const google::protobuf::Message& request);

// The values of the request's fields that the limits field bounds, spellings of one value once.
std::set<std::string> NaiveDistinctValues(const google::protobuf::FieldDescriptor& limit,
                                          const google::protobuf::Message& request);

}  // namespace capbroker::testing

#endif  // TESTS_AUTHORITY_NAIVE_CHECK_H_
