// What became of a worker: started, failed to start, violated its table, ended.
//
// The worker's init (init.h) writes one Report per packet into a seqpacket
// socket; whoever supervises the worker reads the other end. A worker cannot
// write reports: it never holds that socket. The order is
//
//   kStartFailed
//   [kWaits] kStarted [kViolation] kExited
//
// where kWaits is a spare's (spare_job.h), after which the start can still fail,
// and then end of file. End of file without kExited or kStartFailed means that
// the init was killed, and the worker with it.
//
// Runs in every process. Fixed size, no pointers.
#ifndef SANDBOX_REPORT_H_
#define SANDBOX_REPORT_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <type_traits>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "sandbox/layers/layers.h"

namespace capbroker::sandbox {

// A step of a start, so that a failure can say where.
enum class Step : int32_t {
  kNone = 0,
  kParentWatch,  // ask for SIGKILL when the starter dies
  kUidMap,       // map the user namespace's ids
  kIdentity,     // take the unprivileged ids
  kRootMount,    // make and enter the empty root
  kProgramView,  // show a program its loader and libraries
  kHostName,     // replace the host's name
  kNoNewPrivileges,
  kLandlock,
  kSession,  // a session of the init's own
  kForkWorker,
  kSignals,      // default dispositions, empty mask
  kGroup,        // process group, umask, working directory
  kPersonality,  // readable memory must not be executable by default
  kDescriptors,  // exactly the stated descriptors
  kResourceBounds,
  kCapabilities,
  kDumpable,
  kTable,        // install the table of system calls
  kHandOver,     // hand the violation listener to the init
  kConfineInit,  // confine the init itself
  kExecute,      // execute the program
  kGrants,       // walk the paths of the grants
  kSupervisor,   // start the supervisor, and let it read the worker
  kJob,          // wait for a spare's job
};
inline constexpr int kStepCount = static_cast<int>(Step::kJob) + 1;

// "make the empty root".
absl::string_view StepName(Step step);

struct Report {
  enum class Kind : uint32_t {
    kStartFailed = 1,  // step, error_number
    kStarted = 2,      // layers
    kViolation = 3,    // architecture, system_call, arguments, instruction
    kExited = 4,       // exit_code or signal, usage
    kWaits = 5,        // layers; confined, and without a job
  };

  uint32_t magic = kMagic;
  Kind kind = Kind::kStartFailed;

  uint32_t layers = 0;  // LayerSet bits in force
  Step step = Step::kNone;
  int32_t error_number = 0;

  uint32_t architecture = 0;  // AUDIT_ARCH_* of the call
  int32_t system_call = 0;
  int32_t exit_code = 0;
  int32_t signal = 0;  // 0: ended with exit_code
  uint32_t reserved = 0;
  uint64_t arguments[6] = {};
  uint64_t instruction = 0;  // address after the system call instruction

  // What the worker used.
  uint64_t user_microseconds = 0;
  uint64_t system_microseconds = 0;
  uint64_t peak_memory_bytes = 0;

  LayerSet layer_set() const { return LayerSet::FromBits(layers); }

  static constexpr uint32_t kMagic = 0x43425231;
};
static_assert(std::is_trivially_copyable_v<Report>);

// One packet as a Report. Trusts nothing of it: INVALID_ARGUMENT when it is not
// exactly one well-formed report.
absl::StatusOr<Report> ParseReport(absl::string_view packet);

// The call of a violation: "ptrace"; "call 5 of architecture 0x40000003", which no table of
// names means; "call 1000".
std::string ViolatedCall(const Report& report);

// One line for a log: "violated the table: ptrace(0x10, 0x1, 0x0, 0x0, 0x0,
// 0x0) at 0x7f...".
std::string DescribeReport(const Report& report);

}  // namespace capbroker::sandbox

#endif  // SANDBOX_REPORT_H_
