// What the broker knows of a service: a name, its proto, and how to make the
// object that serves it. The broker knows no concrete service.
//
// A service registers itself by being named in a grant expression:
// `Serve<WordCounterService>(...)` (services/service.h) makes the linker keep the
// registration, so there is no list to edit, and what is not linked cannot be
// granted.
#ifndef SERVING_SERVICE_H_
#define SERVING_SERVICE_H_

#include <google/protobuf/descriptor.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "google/protobuf/any.pb.h"
#include "serving/dispatch.h"
#include "serving/service_needs.h"
#include "serving/upstream_channel.h"

namespace capbroker::serving {

// What the grant expression gave the service beside its limits, for a class with a
// constructor that takes it.
struct ServiceInputs {
  // Null: none.
  std::shared_ptr<UpstreamChannel> upstream;
  // The application's word. Empty: none.
  google::protobuf::Any settings;
};

// One implementation of one protobuf service.
struct ServiceDefinition {
  // Unique in the program: the protobuf service's full name, or that and "#" and
  // a name where a program has several implementations of it.
  std::string name;
  const google::protobuf::ServiceDescriptor* descriptor = nullptr;
  // Makes the object that serves. Called in the service process, once, before its first
  // channel is served.
  std::unique_ptr<Dispatch> (*make)(ServiceInputs inputs) = nullptr;
  // What its processes need. Null: nothing. Called in each zygote and in the processes.
  ServiceNeeds (*needs)() = nullptr;
  // Called in the service process, once, before it is confined and before `make`. Null: nothing
  // to prepare.
  void (*prepare)() = nullptr;
};

// Registers `definition`; called before main(). Dies on a name registered twice
// with different definitions.
void RegisterService(ServiceDefinition definition);

// The definition of that name, or null.
const ServiceDefinition* FindService(absl::string_view name);

// The names of all, sorted.
std::vector<std::string> RegisteredServices();

}  // namespace capbroker::serving

#endif  // SERVING_SERVICE_H_
