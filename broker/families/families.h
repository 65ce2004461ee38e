// All families that are alive, by number. Lives in: the broker, on its one thread.
#ifndef BROKER_FAMILIES_FAMILIES_H_
#define BROKER_FAMILIES_FAMILIES_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "authority/schema.h"
#include "base/unique_fd.h"
#include "broker/families/incarnation.h"
#include "broker/families/served_family.h"
#include "capbroker/v1/broker.pb.h"
#include "serving/service.h"

namespace capbroker::broker {

class Families {
 public:
  explicit Families(const BrokerParts& parts) : parts_(parts) {}

  // A family, and the client end of its first channel, which can be used at once:
  // what is sent waits in the socket until the process serves it.
  struct Opened {
    uint64_t family = 0;
    uint64_t number = 0;
    UniqueFd channel;
  };

  // Gives the descriptor of the request that a field names.
  using TakeDescriptor = absl::FunctionRef<absl::StatusOr<UniqueFd>(const v1::Descriptor&)>;

  // NOT_FOUND: no such service is linked. INVALID_ARGUMENT: see Family::Create().
  // `forked` is told later whether the service has a process; without one the
  // family has ended.
  absl::StatusOr<Opened> Open(const v1::OpenServiceRequest& request, TakeDescriptor take,
                              std::function<void(absl::Status)> forked);

  bool empty() const { return families_.empty(); }

  // Null when it has ended.
  ServedFamily* Find(uint64_t family);

  void Describe(v1::InspectResponse* response) const;

 private:
  absl::StatusOr<const authority::ServiceSchema*> SchemaOf(
      const serving::ServiceDefinition& service);

  const BrokerParts parts_;
  uint64_t next_family_ = 1;
  std::map<uint64_t, std::unique_ptr<ServedFamily>> families_;
  // Compiled at first use; families refer to them.
  std::map<const serving::ServiceDefinition*, std::unique_ptr<const authority::ServiceSchema>>
      schemas_;
};

}  // namespace capbroker::broker

#endif  // BROKER_FAMILIES_FAMILIES_H_
