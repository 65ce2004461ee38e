#include "broker/zygote/service_confinement.h"

#include <poll.h>

#include <cstring>
#include <utility>

#include "base/file_grant.h"
#include "base/status_macros.h"
#include "sandbox/report.h"
#include "sandbox/table/seccomp.h"

namespace capbroker::broker {
namespace {

using Reach = sandbox::ServiceSandbox::Reach;

sandbox::ServiceTable TableOf(const serving::ServiceNeeds& needs) {
  return {
      .reads_files = !needs.reads.empty(),
      .serves_files = needs.serves_files,
      .tcp = needs.tcp,
      .tcp_servers = needs.tcp_servers,
      .udp = needs.udp,
      .local_sockets = !needs.local_sockets.empty(),
      .routes = needs.routes,
      .more_calls = needs.system_calls,
  };
}

Reach ToReach(const serving::ServiceReach& needed) {
  Reach reach;
  for (const serving::FileNeed& file : needed.files) {
    const unsigned access = (file.read ? kReadFiles : 0u) | (file.write ? kWriteFiles : 0u) |
                            (file.create ? kCreateFiles : 0u);
    reach.places.push_back({.path = file.path, .access = access, .devices = file.devices});
  }
  reach.tcp_ports = needed.tcp_ports;
  reach.all_tcp_ports = needed.all_tcp_ports;
  reach.tcp_server_ports = needed.tcp_server_ports;
  reach.all_tcp_server_ports = needed.all_tcp_server_ports;
  return reach;
}

}  // namespace

absl::StatusOr<ServiceConfinement> ServiceConfinement::Prepare(
    const serving::ServiceDefinition& service) {
  serving::ServiceNeeds needs;
  if (service.needs != nullptr) needs = service.needs();
  if (!needs.unconfined.empty()) return ServiceConfinement(std::nullopt);
  const auto identity =
      needs.as_user ? sandbox::ServiceIdentity::kUser : sandbox::ServiceIdentity::kNobody;
  CB_ASSIGN_OR_RETURN(sandbox::ServiceSandbox sandbox,
                      sandbox::ServiceSandbox::Prepare(TableOf(needs), identity));
  return ServiceConfinement(std::move(sandbox));
}

absl::Status ServiceConfinement::Enter(const serving::ServiceReach& reach,
                                       UniqueFd hand_over) const {
  if (!sandbox_.has_value()) return absl::OkStatus();
  return sandbox_->Enter(ToReach(reach), hand_over);
}

bool ViolationWatch::Hear(short events) {
  if (hand_over_.valid()) {
    // End of file without a listener: it has none, or it is gone.
    listener_ = sandbox::ReceiveListener(hand_over_);
    hand_over_.Reset();
    return false;
  }
  if ((events & POLLIN) == 0) {
    listener_.Reset();  // its last thread is gone
    return false;
  }
  const std::optional<seccomp_data> call = sandbox::ReceiveViolation(listener_);
  if (!call.has_value()) return false;
  // INVARIANT(default-deny): the call is never answered, so it never happens.
  sandbox::Report report;
  report.kind = sandbox::Report::Kind::kViolation;
  report.architecture = call->arch;
  report.system_call = call->nr;
  std::memcpy(report.arguments, call->args, sizeof report.arguments);
  report.instruction = call->instruction_pointer;
  if (violation_.empty()) violation_ = sandbox::DescribeReport(report);
  return true;
}

}  // namespace capbroker::broker
