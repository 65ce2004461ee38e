#include "sandbox/worker.h"

#include <fcntl.h>
#include <link.h>
#include <signal.h>
#include <stdio_ext.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <utility>

#include "base/descriptor_packet.h"
#include "sandbox/fstat_answer.h"
#include "sandbox/layers/landlock.h"
#include "sandbox/spare_job.h"
#include "sandbox/supervisor/supervisor.h"
#include "sandbox/table/seccomp.h"

namespace capbroker::sandbox {
namespace {

constexpr int kHandOverPlace = kGrantedPlaces;
constexpr int kProgramPlace = kGrantedPlaces + 1;
constexpr int kIntroductionPlace = kGrantedPlaces + 2;
constexpr int kJobPlace = kGrantedPlaces + 3;
static_assert(kJobPlace < kPlacesEnd);

constexpr int kPopulateRead = 22;  // MADV_POPULATE_READ

// The path of execveat. Its address is part of the table's row.
constexpr char kNoPath[] = "";

bool Tell(FdRef hand_over, const HandOver& message, FdRef listener = FdRef()) {
  return SendDescriptorPacket(hand_over, &message, sizeof message, {listener});
}

// Of a start that goes no further. INVARIANT(fail-closed)
[[noreturn]] void Fail(FdRef hand_over, StepResult result) {
  Tell(hand_over, {.result = result});
  _exit(kFailedStartCode);
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
  if (plan.job.valid()) placements.push_back({plan.job.get(), kJobPlace, true});
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

// A spare has the time to look at every page of the program's code, of which a forked process
// has none at first. Nothing depends on it.
void LookAtCode() {
  dl_iterate_phdr(
      [](dl_phdr_info* object, size_t, void*) {
        const uintptr_t page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
        for (int i = 0; i < object->dlpi_phnum; ++i) {
          const ElfW(Phdr)& part = object->dlpi_phdr[i];
          if (part.p_type != PT_LOAD || (part.p_flags & PF_W) != 0) continue;
          const uintptr_t begin = (object->dlpi_addr + part.p_vaddr) & ~(page - 1);
          const uintptr_t end = object->dlpi_addr + part.p_vaddr + part.p_memsz;
          (void)madvise(reinterpret_cast<void*>(begin), end - begin, kPopulateRead);
        }
        return 0;
      },
      nullptr);
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
  if (plan.job.valid()) LookAtCode();
  const std::vector<sock_filter> table = BindTable(plan);
  if (StepResult result = ApplyLimits(plan.limits); !result.ok()) return result;
  return EnterTable(plan, table, listener);
}

// A spare gets its descriptors only now, and its descriptor limit may grow by their places as
// that of any other worker does. The rest of its confinement is in force.
StepResult TakeSparesJob(FdRef socket, SpareJob& job, rlimit& descriptor_limit) {
  if (!TakeJob(socket, job)) return FailedWith(Step::kJob, ECHILD);
  std::vector<Placement> placements = job.descriptors;
  bool placed[3] = {};
  for (const Placement& placement : placements) {
    if (placement.to <= 2) placed[placement.to] = true;
    descriptor_limit.rlim_cur =
        std::max(descriptor_limit.rlim_cur, static_cast<rlim_t>(placement.to) + kRoomAbovePlaces);
  }
  descriptor_limit.rlim_max = descriptor_limit.rlim_cur;
  for (int standard = 0; standard <= 2; ++standard) {
    if (!placed[standard]) placements.push_back({standard, standard, true});  // /dev/null
  }
  placements.push_back({kHandOverPlace, kHandOverPlace, true});
  placements.push_back({kJobPlace, kJobPlace, true});
  // Of these, GiveJob() lets none be O_PATH.
  if (StepResult result = RearrangeDescriptors(placements); !result.ok()) {
    _exit(kDescriptorsFailedCode);  // as in Confine()
  }
  return Done();
}

// False: the init is gone, and has not reported that the worker runs.
bool BeginJob(FdRef hand_over) {
  char go_ahead;
  return close(kJobPlace) == 0 && Tell(hand_over, {.result = Done(), .ready = true}) &&
         recv(hand_over.get(), &go_ahead, 1, 0) == 1;
}

[[noreturn]] void RunEntry(const absl::FunctionRef<int(uint64_t)>& entry, uint64_t value) {
  // What the application had buffered at the fork is the application's to
  // write.
  __fpurge(stdout);
  __fpurge(stderr);
  const int code = entry(value);
  std::fflush(nullptr);
  // No atexit handlers and no destructors: they are the application's.
  _exit(code);
}

}  // namespace

void RunWorker(const WorkerPlan& plan, Companions companions) {
  UniqueFd listener;
  const StepResult result = Confine(plan, companions, listener);
  const FdRef hand_over = companions.hand_over;
  const bool is_spare = plan.job.valid();
  if (!Tell(hand_over, {.result = result, .ready = !is_spare}, listener)) {
    Fail(hand_over, FailedWithErrno(Step::kHandOver));
  }
  if (!result.ok()) _exit(kFailedStartCode);
  if (companions.introduction.valid() && !IntroduceTo(companions.introduction, listener)) {
    Fail(hand_over, FailedWith(Step::kSupervisor, ECHILD));
  }
  // INVARIANT(fail-closed): with the listener the worker could answer for the
  // init.
  if (listener.valid() && close(std::move(listener).Release()) != 0) _exit(kFailedStartCode);
  SpareJob job;
  rlimit descriptor_limit = plan.descriptor_limit;
  if (is_spare) {
    StepResult taken = TakeSparesJob(FdRef::FromRaw(kJobPlace), job, descriptor_limit);
    if (!taken.ok()) Fail(hand_over, taken);
  }
  // Only now: a process sends no descriptor while its user has more of them on their
  // way than this limit, and other workers may see to that.
  if (setrlimit(RLIMIT_NOFILE, &descriptor_limit) != 0) {
    Fail(hand_over, FailedWithErrno(Step::kResourceBounds));
  }
  if (is_spare && !BeginJob(hand_over)) _exit(kFailedStartCode);
  if (plan.entry != nullptr) {
    if (companions.introduction.valid() && close(kIntroductionPlace) != 0) _exit(kFailedStartCode);
    if (close(kHandOverPlace) != 0) _exit(kFailedStartCode);
    RunEntry(*plan.entry, job.value);
  }
  // Closes program and hand-over socket, which tells the init.
  syscall(SYS_execveat, plan.program_number, kNoPath, plan.arguments, plan.environment,
          AT_EMPTY_PATH);
  Fail(hand_over, FailedWithErrno(Step::kExecute));
}

}  // namespace capbroker::sandbox
