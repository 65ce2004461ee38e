// What all processes of one service have alike, made once and inherited by fork: the compiled
// schema, the dispatch table of what every channel answers, and the descriptors and reflection
// tables of every message that such a process meets. Protobuf makes those at first use, which takes
// longer than all else that a new process does, and would cost each of them its own copy.
//
// Lives in: the zygote, which prepares while it has nothing else to do, and the service processes
// that it forks.
#ifndef SERVING_PROCESS_PREPARED_SERVICE_H_
#define SERVING_PROCESS_PREPARED_SERVICE_H_

#include <memory>

#include "absl/status/statusor.h"
#include "authority/schema.h"
#include "serving/dispatch.h"
#include "serving/service.h"

namespace capbroker::serving {

class PreparedService {
 public:
  // `definition` outlives this. INVALID_ARGUMENT: its proto grants what nobody has bounded, see
  // authority/schema.h.
  static absl::StatusOr<PreparedService> Prepare(const ServiceDefinition& definition);

  const ServiceDefinition& definition() const { return *definition_; }
  const authority::ServiceSchema& schema() const { return *schema_; }
  // capbroker.v1.Capability, which knows of no process.
  Dispatch* capability() const { return capability_.get(); }

 private:
  PreparedService(const ServiceDefinition* definition,
                  std::unique_ptr<const authority::ServiceSchema> schema,
                  std::unique_ptr<Dispatch> capability)
      : definition_(definition), schema_(std::move(schema)), capability_(std::move(capability)) {}

  const ServiceDefinition* definition_;
  std::unique_ptr<const authority::ServiceSchema> schema_;
  std::unique_ptr<Dispatch> capability_;
};

}  // namespace capbroker::serving

#endif  // SERVING_PROCESS_PREPARED_SERVICE_H_
