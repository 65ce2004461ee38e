#include "broker/zygote/own_tables.h"

#include <sys/prctl.h>
#include <unistd.h>

#include <cerrno>

#include "base/errno_status.h"
#include "base/status_macros.h"
#include "sandbox/policies/broker_policy.h"
#include "sandbox/policies/zygote_policy.h"
#include "sandbox/table/filter_compiler.h"
#include "sandbox/table/seccomp.h"

namespace capbroker::broker {
namespace {

absl::Status Enter(const sandbox::Policy& policy, sandbox::DieAction die) {
  CB_ASSIGN_OR_RETURN(const sandbox::CompiledFilter filter, sandbox::CompileFilter(policy, die));
  sandbox::ParameterValues values = {};
  values[static_cast<size_t>(sandbox::Parameter::kWorkerPid)] = static_cast<uint32_t>(getpid());
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return ErrnoToStatus(errno, "no_new_privs");
  // INVARIANT(fail-closed)
  const sandbox::StepResult result = sandbox::InstallFilter(filter.Bind(values));
  return result.ok() ? absl::OkStatus() : ErrnoToStatus(result.error_number, "enter own table");
}

}  // namespace

absl::Status EnterBrokerTable() {
  return Enter(sandbox::BrokerPolicy(), sandbox::DieAction::kKillProcess);
}

absl::Status EnterZygoteTable() {
  return Enter(sandbox::ZygotePolicy(), sandbox::DieAction::kRefuse);
}

}  // namespace capbroker::broker
