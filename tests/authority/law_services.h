// The services that laws are tested with. Lives in: tests.
#ifndef TESTS_AUTHORITY_LAW_SERVICES_H_
#define TESTS_AUTHORITY_LAW_SERVICES_H_

#include <string>
#include <vector>

#include "google/protobuf/descriptor.h"

namespace capbroker::testing {

// One of tests' with every kind of limit and shape of field, and those of this repository.
std::vector<const google::protobuf::ServiceDescriptor*> LawServices();

// The law whose test runs: its name without the service's.
std::string CurrentLaw();

}  // namespace capbroker::testing

#endif  // TESTS_AUTHORITY_LAW_SERVICES_H_
