#include "sandbox/worker.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio_ext.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstring>
#include <utility>

#include "base/descriptor_packet.h"
#include "sandbox/fstat_answer.h"
#include "sandbox/landlock.h"
#include "sandbox/supervisor/supervisor.h"
#include "sandbox/table/seccomp.h"

namespace capbroker::sandbox {
namespace {

constexpr int kHandOverPlace = kGrantedPlaces;
constexpr int kProgramPlace = kGrantedPlaces + 1;
constexpr int kIntroductionPlace = kGrantedPlaces + 2;
static_assert(kIntroductionPlace < kPlacesEnd);

// The path of execveat. Its address is part of the table's row.
constexpr char kNoPath[] = "";

bool Tell(FdRef hand_over, StepResult result, FdRef listener) {
  const HandOver message = {.result = result};
  return SendDescriptorPacket(hand_over, &message, sizeof message, {listener});
}

// The supervisor has looked at this process and waits for its calls, or is gone.
bool IntroduceTo(FdRef supervisor, FdRef listener) {
  const WorkerIntroduction introduction = {.worker = getpid()};
  char go_ahead;
  return SendDescriptorPacket(supervisor, &introduction, sizeof introduction, {listener}) &&
         recv(supervisor.get(), &go_ahead, 1, 0) == 1;
}

// A supervisor reads a worker's memory, which takes one that is dumpable, and where Yama is, one
// that said whom it lets.
StepResult OpenTo(pid_t supervisor) {
  if (prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) != 0) return FailedWithErrno(Step::kDumpable);
  if (prctl(PR_SET_PTRACER, supervisor, 0, 0, 0) != 0 && errno != EINVAL) {
    return FailedWithErrno(Step::kSupervisor);
  }
  return Done();
}

StepResult ResetSignals(const WorkerPlan& plan) {
  for (int signal = 1; signal < NSIG; ++signal) {
    // Fails for SIGKILL, SIGSTOP and the two that the C library keeps, which
    // have defaults.
    struct sigaction action = {};
    action.sa_handler = SIG_DFL;
    sigaction(signal, &action, nullptr);
  }
  const bool answers_fstat = plan.entry != nullptr && plan.layers.Has(Layer::kSystemCallTable);
  if (answers_fstat && !AnswerFstatBySignal()) return FailedWithErrno(Step::kSignals);
  sigset_t none;
  sigemptyset(&none);
  return sigprocmask(SIG_SETMASK, &none, nullptr) == 0 ? Done() : FailedWithErrno(Step::kSignals);
}

StepResult DieWithInit(pid_t init) {
  if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0) return FailedWithErrno(Step::kParentWatch);
  // INVARIANT(no-orphans): the init may have died before the signal was asked
  // for.
  return getppid() == init ? Done() : FailedWith(Step::kParentWatch, ESRCH);
}

// In the session of its init, which has no terminal: the scheduler switches between two sessions
// at a price, which every call to the supervisor would pay (autogroup, sched(7)).
StepResult StartGroup() {
  if (setpgid(0, 0) != 0 || chdir("/") != 0) return FailedWithErrno(Step::kGroup);
  umask(077);
  return Done();
}

// Leaves the sockets to the companions at their places.
StepResult PlaceDescriptors(const WorkerPlan& plan, const Companions& companions) {
  std::vector<Placement> placements = plan.descriptors;
  placements.push_back({companions.hand_over.get(), kHandOverPlace, true});
  if (companions.introduction.valid()) {
    placements.push_back({companions.introduction.get(), kIntroductionPlace, true});
  }
  if (plan.program.valid()) placements.push_back({plan.program.get(), kProgramPlace, true});
  if (StepResult result = ArrangeDescriptors(placements); !result.ok()) return result;
  if (plan.program.valid()) {
    // Above the descriptor bound that is set next: nothing can get this number
    // again.
    if (dup3(kProgramPlace, plan.program_number, O_CLOEXEC) < 0 || close(kProgramPlace) != 0) {
      return FailedWithErrno(Step::kDescriptors);
    }
  }
  return Done();
}

// Empty without the layer. Before the limits are applied: those of a program to be executed
// may leave this image no memory.
std::vector<sock_filter> BindTable(const WorkerPlan& plan) {
  if (!plan.layers.Has(Layer::kSystemCallTable)) return {};
  ParameterValues values = {};
  values[static_cast<size_t>(Parameter::kWorkerPid)] = static_cast<uint32_t>(getpid());
  values[static_cast<size_t>(Parameter::kProgramDescriptor)] =
      static_cast<uint32_t>(plan.program_number);
  values[static_cast<size_t>(Parameter::kWorkingPlace)] =
      static_cast<uint32_t>(plan.working_place_number);
  values[static_cast<size_t>(Parameter::kProgramPath)] = reinterpret_cast<uint64_t>(&kNoPath);
  return plan.table->Bind(values);
}

// INVARIANT(default-deny): from here on the table holds, whatever happens next.
StepResult EnterTable(const WorkerPlan& plan, const std::vector<sock_filter>& table,
                      UniqueFd& listener) {
  if (!plan.layers.Has(Layer::kSystemCallTable)) return Done();
  return plan.layers.Has(Layer::kViolationReports) ? InstallFilterWithListener(table, listener)
                                                   : InstallFilter(table);
}

// The companions' sockets are where `companions` says, in and out.
StepResult Confine(const WorkerPlan& plan, Companions& companions, UniqueFd& listener) {
  if (StepResult result = DieWithInit(companions.init); !result.ok()) return result;
  if (companions.supervisor != 0) {
    if (StepResult result = OpenTo(companions.supervisor); !result.ok()) return result;
  }
  if (StepResult result = ResetSignals(plan); !result.ok()) return result;
  if (StepResult result = StartGroup(); !result.ok()) return result;
  // A domain inside the init's, so that the init is out of its reach.
  if (plan.layers.Has(Layer::kLandlock)) {
    if (StepResult result = EnterLandlockDomain(plan.ruleset); !result.ok()) return result;
  }
  if (StepResult result = PlaceDescriptors(plan, companions); !result.ok()) {
    // By its number the socket may be anything now, also a granted descriptor.
    _exit(kDescriptorsFailedCode);
  }
  companions.hand_over = FdRef::FromRaw(kHandOverPlace);
  if (companions.introduction.valid()) {
    companions.introduction = FdRef::FromRaw(kIntroductionPlace);
  }
  const std::vector<sock_filter> table = BindTable(plan);
  if (StepResult result = ApplyLimits(plan.limits); !result.ok()) return result;
  return EnterTable(plan, table, listener);
}

[[noreturn]] void RunEntry(const absl::FunctionRef<int()>& entry) {
  // What the application had buffered at the fork is the application's to
  // write.
  __fpurge(stdout);
  __fpurge(stderr);
  const int code = entry();
  std::fflush(nullptr);
  // No atexit handlers and no destructors: they are the application's.
  _exit(code);
}

}  // namespace

void RunWorker(const WorkerPlan& plan, Companions companions) {
  UniqueFd listener;
  const StepResult result = Confine(plan, companions, listener);
  const FdRef hand_over = companions.hand_over;
  if (!Tell(hand_over, result, listener)) {
    Tell(hand_over, FailedWithErrno(Step::kHandOver), FdRef());
    _exit(kFailedStartCode);
  }
  if (!result.ok()) _exit(kFailedStartCode);
  if (companions.introduction.valid() && !IntroduceTo(companions.introduction, listener)) {
    Tell(hand_over, FailedWith(Step::kSupervisor, ECHILD), FdRef());
    _exit(kFailedStartCode);
  }
  // Only now: a process sends no descriptor while its user has more of them on their
  // way than this limit, and other workers may see to that.
  if (setrlimit(RLIMIT_NOFILE, &plan.descriptor_limit) != 0) {
    Tell(hand_over, FailedWithErrno(Step::kResourceBounds), FdRef());
    _exit(kFailedStartCode);
  }
  // INVARIANT(fail-closed): with the listener the worker could answer for the
  // init.
  if (listener.valid() && close(std::move(listener).Release()) != 0) _exit(kFailedStartCode);
  if (plan.entry != nullptr) {
    if (companions.introduction.valid() && close(kIntroductionPlace) != 0) _exit(kFailedStartCode);
    if (close(kHandOverPlace) != 0) _exit(kFailedStartCode);
    RunEntry(*plan.entry);
  }
  // Closes program and hand-over socket, which tells the init.
  syscall(SYS_execveat, plan.program_number, kNoPath, plan.arguments, plan.environment,
          AT_EMPTY_PATH);
  Tell(hand_over, FailedWithErrno(Step::kExecute), FdRef());
  _exit(kFailedStartCode);
}

}  // namespace capbroker::sandbox
