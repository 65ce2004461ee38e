// The main function of a service process.
#ifndef SERVING_PROCESS_SERVICE_PROCESS_H_
#define SERVING_PROCESS_SERVICE_PROCESS_H_

#include <functional>

#include "absl/status/status.h"
#include "base/unique_fd.h"
#include "serving/process/prepared_service.h"
#include "serving/service_needs.h"

namespace capbroker::serving {

// What a service process is born with: nothing else is open.
struct ServiceProcessStart {
  UniqueFd supervisor;  // client end: the process calls capbroker.v1.Supervisor
  UniqueFd commands;    // service end: the broker calls capbroker.v1.ServiceControl
  // Confines the process to what the service needs and to `reach`. Called once, with the first
  // installation, before the service's object is made and before a byte of a holder is read.
  std::function<absl::Status(const ServiceReach& reach)> confine;
};

// Serves `service` on the channels that the broker installs (ServiceControl) and
// on their clones, until all of them are gone or the broker is. Returns the exit
// code: 0 when its work was done.
//
// Lives in: a service process, forked from the zygote, single-threaded at call.
int RunServiceProcess(const PreparedService& service, ServiceProcessStart start);

}  // namespace capbroker::serving

#endif  // SERVING_PROCESS_SERVICE_PROCESS_H_
