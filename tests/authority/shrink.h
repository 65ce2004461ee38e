// Makes a failing case small.
#ifndef TESTS_AUTHORITY_SHRINK_H_
#define TESTS_AUTHORITY_SHRINK_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "google/protobuf/message.h"

namespace capbroker::testing {

// The messages of a case, by value.
using Case = std::vector<std::unique_ptr<google::protobuf::Message>>;

// Drops fields and elements from the messages, one at a time, as long as `fails`.
void Shrink(Case& messages, const std::function<bool(const Case&)>& fails);

// For people: each message on a line.
std::string Describe(const Case& messages);

}  // namespace capbroker::testing

#endif  // TESTS_AUTHORITY_SHRINK_H_
