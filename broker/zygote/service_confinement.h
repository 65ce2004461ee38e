// From what a service says that it needs (serving/service_needs.h) to the layers that hold it to
// that (sandbox/service_sandbox.h), and the zygote's ear at the process.
//
// Lives in: the zygote (preparing, listening), a service process (entering).
#ifndef BROKER_ZYGOTE_SERVICE_CONFINEMENT_H_
#define BROKER_ZYGOTE_SERVICE_CONFINEMENT_H_

#include <optional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/unique_fd.h"
#include "sandbox/service_sandbox.h"
#include "serving/service.h"
#include "serving/service_needs.h"

namespace capbroker::broker {

// How the processes of one service are confined.
class ServiceConfinement {
 public:
  // Compiles the table of its needs. INVALID_ARGUMENT: it names a call that does not exist.
  static absl::StatusOr<ServiceConfinement> Prepare(const serving::ServiceDefinition& service);

  // In words; empty: the service is not confined.
  std::string layers() const {
    return sandbox_.has_value() ? sandbox_->layers().ToString() : std::string();
  }

  // Confines the calling process to the needs and to `reach`, and gives the listener of its table
  // to the zygote. After an error the process must end.
  absl::Status Enter(const serving::ServiceReach& reach, UniqueFd hand_over) const;

 private:
  explicit ServiceConfinement(std::optional<sandbox::ServiceSandbox> sandbox)
      : sandbox_(std::move(sandbox)) {}
  std::optional<sandbox::ServiceSandbox> sandbox_;  // nothing: unconfined
};

// What the zygote hears of the violations of one process, of which it has the pidfd.
class ViolationWatch {
 public:
  ViolationWatch() = default;
  // `hand_over`: the other end of what ServiceConfinement::Enter is given.
  explicit ViolationWatch(UniqueFd hand_over) : hand_over_(std::move(hand_over)) {}

  // To be polled for POLLIN; invalid when there is nothing to hear any more.
  FdRef fd() const { return hand_over_.valid() ? hand_over_ : listener_; }
  // When poll said something of fd(). True: the process has violated its table and is to be killed.
  bool Hear(short events);
  // The system call and its arguments; empty: none was violated.
  const std::string& violation() const { return violation_; }

 private:
  UniqueFd hand_over_;
  UniqueFd listener_;
  std::string violation_;
};

}  // namespace capbroker::broker

#endif  // BROKER_ZYGOTE_SERVICE_CONFINEMENT_H_
