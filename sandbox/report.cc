#include "sandbox/report.h"

#include <linux/audit.h>
#include <string.h>
#include <sys/wait.h>

#include <cstring>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "sandbox/table/system_calls.h"

namespace capbroker::sandbox {
namespace {

std::string DescribeCall(const Report& report) {
  std::string call = ViolatedCall(report);
  const char* separator = "(";
  for (uint64_t argument : report.arguments) {
    absl::StrAppendFormat(&call, "%s%#x", separator, argument);
    separator = ", ";
  }
  return call + ")";
}

}  // namespace

std::string ViolatedCall(const Report& report) {
  // Numbers of another architecture, or of the x32 ABI, mean other calls.
  if (report.architecture != AuditArchitecture(kNativeArchitecture) ||
      report.system_call >= 0x40000000) {
    return absl::StrFormat("call %d of architecture %#x", report.system_call, report.architecture);
  }
  const std::string name = SystemCallName(report.system_call);
  return IsSystemCallName(name) ? name : absl::StrFormat("call %d", report.system_call);
}

absl::string_view StepName(Step step) {
  switch (step) {
    case Step::kNone:
      return "none";
    case Step::kParentWatch:
      return "watch the parent";
    case Step::kUidMap:
      return "map ids";
    case Step::kIdentity:
      return "take unprivileged ids";
    case Step::kRootMount:
      return "enter an empty root";
    case Step::kProgramView:
      return "show the program its libraries";
    case Step::kHostName:
      return "replace the host name";
    case Step::kNoNewPrivileges:
      return "renounce new privileges";
    case Step::kLandlock:
      return "restrict by landlock";
    case Step::kForkWorker:
      return "fork the worker";
    case Step::kSignals:
      return "reset signals";
    case Step::kSession:
      return "start a session";
    case Step::kGroup:
      return "start a process group";
    case Step::kPersonality:
      return "reset the personality";
    case Step::kDescriptors:
      return "place descriptors";
    case Step::kResourceBounds:
      return "bound resources";
    case Step::kCapabilities:
      return "drop capabilities";
    case Step::kDumpable:
      return "become undumpable";
    case Step::kTable:
      return "install the system call table";
    case Step::kHandOver:
      return "hand over the listener";
    case Step::kConfineInit:
      return "confine the init";
    case Step::kExecute:
      return "execute the program";
    case Step::kGrants:
      return "walk the paths of the grants";
    case Step::kSupervisor:
      return "start the supervisor";
    case Step::kJob:
      return "get a job";
  }
  return "unknown step";
}

absl::StatusOr<Report> ParseReport(absl::string_view packet) {
  // TRUST(worker): a worker has no way to this socket, but the supervisor needs
  // no such belief.
  Report report;
  if (packet.size() != sizeof report) return absl::InvalidArgumentError("report: wrong size");
  std::memcpy(&report, packet.data(), sizeof report);
  if (report.magic != Report::kMagic) return absl::InvalidArgumentError("report: wrong magic");
  const uint32_t kind = static_cast<uint32_t>(report.kind);
  if (kind < 1 || kind > static_cast<uint32_t>(Report::Kind::kWaits)) {
    return absl::InvalidArgumentError("report: unknown kind");
  }
  const int32_t step = static_cast<int32_t>(report.step);
  if (step < 0 || step >= kStepCount ||
      (report.kind == Report::Kind::kStartFailed) != (report.step != Step::kNone)) {
    return absl::InvalidArgumentError("report: impossible step");
  }
  if (report.layers != LayerSet::FromBits(report.layers).bits()) {
    return absl::InvalidArgumentError("report: unknown layer");
  }
  if (report.error_number < 0 || report.error_number > 4095 || report.exit_code < 0 ||
      report.exit_code > 255 || report.signal < 0 || report.signal > 64) {
    return absl::InvalidArgumentError("report: value out of range");
  }
  return report;
}

std::string DescribeReport(const Report& report) {
  switch (report.kind) {
    case Report::Kind::kStartFailed:
      return absl::StrCat("start failed: ", StepName(report.step), ": ",
                          strerror(report.error_number));
    case Report::Kind::kStarted:
      return absl::StrCat("started with ", report.layer_set().ToString());
    case Report::Kind::kWaits:
      return absl::StrCat("waits with ", report.layer_set().ToString());
    case Report::Kind::kViolation:
      return absl::StrCat("violated the table: ", DescribeCall(report),
                          absl::StrFormat(" at %#x", report.instruction));
    case Report::Kind::kExited:
      break;
  }
  const std::string how = report.signal != 0 ? absl::StrCat("killed by ", strsignal(report.signal))
                                             : absl::StrCat("exited with ", report.exit_code);
  return absl::StrFormat(
      "%s after %.3f s of CPU time, at most %d KiB", how,
      static_cast<double>(report.user_microseconds + report.system_microseconds) / 1e6,
      report.peak_memory_bytes / 1024);
}

}  // namespace capbroker::sandbox
