#include "sandbox/init.h"

#include <fcntl.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <optional>
#include <utility>
#include <vector>

#include "base/descriptor_limit.h"
#include "base/descriptor_packet.h"
#include "base/file_grant.h"
#include "sandbox/descriptor_table.h"
#include "sandbox/report.h"
#include "sandbox/supervisor/granted_view.h"
#include "sandbox/table/seccomp.h"

namespace capbroker::sandbox {
namespace {

// The init's whole descriptor table; the listener comes later.
constexpr int kReportPlace = 0;
constexpr int kLifelinePlace = 1;
constexpr int kHandOverPlace = 2;
constexpr int kChildrenPlace = 3;    // a signalfd for SIGCHLD
constexpr int kSupervisorPlace = 4;  // a socket to it

enum ExitCode { kReported = 0, kStartFailed = 1, kLifelineEnded = 2 };

void Send(FdRef report_socket, const Report& report) {
  if (!report_socket.valid()) return;
  // Never waits: a supervisor that does not read learns of the end by end of
  // file.
  (void)!send(report_socket.get(), &report, sizeof report, MSG_DONTWAIT | MSG_NOSIGNAL);
}

void SendStartFailed(FdRef report_socket, StepResult result) {
  Report report;
  report.kind = Report::Kind::kStartFailed;
  report.step = result.failed;
  report.error_number = result.error_number;
  Send(report_socket, report);
}

[[noreturn]] void FailStart(FdRef report_socket, StepResult result) {
  SendStartFailed(report_socket, result);
  _exit(kStartFailed);
}

Report ExitReport(int status, const rusage& usage) {
  Report report;
  report.kind = Report::Kind::kExited;
  if (WIFSIGNALED(status)) {
    report.signal = WTERMSIG(status);
  } else {
    report.exit_code = WEXITSTATUS(status);
  }
  const auto microseconds = [](const timeval& time) {
    return static_cast<uint64_t>(time.tv_sec) * 1000000 + static_cast<uint64_t>(time.tv_usec);
  };
  report.user_microseconds = microseconds(usage.ru_utime);
  report.system_microseconds = microseconds(usage.ru_stime);
  report.peak_memory_bytes = static_cast<uint64_t>(usage.ru_maxrss) * 1024;
  return report;
}

// What failed in a worker that ended without a word.
StepResult UntoldFailure(int status) {
  if (WIFEXITED(status) && WEXITSTATUS(status) == kDescriptorsFailedCode) {
    return FailedWith(Step::kDescriptors, EBADF);
  }
  return FailedWith(Step::kHandOver, ECHILD);
}

// The wait of an init for its worker.
class Vigil {
 public:
  Vigil(const InitPlan& plan, pid_t worker, pid_t supervisor)
      : worker_(worker),
        supervisor_(supervisor),
        is_spare_(plan.worker.job.valid()),
        layers_(plan.confinement.layers) {
    if (supervisor != 0) supervisor_socket_ = FdRef::FromRaw(kSupervisorPlace);
    if (plan.report.valid()) report_ = FdRef::FromRaw(kReportPlace);
    if (plan.lifeline.valid()) lifeline_ = FdRef::FromRaw(kLifelinePlace);
    hand_over_ = FdRef::FromRaw(kHandOverPlace);
  }

  [[noreturn]] void Keep() {
    for (;;) {
      // Negative descriptors are passed over by poll.
      // Signals have to wait until there is a process group to send them to.
      pollfd events[] = {{lifeline_.get(), static_cast<short>(started_ ? POLLIN : 0), 0},
                         {hand_over_.get(), POLLIN, 0},
                         {supervisor_ == 0 ? listener_.get() : -1, POLLIN, 0},
                         {kChildrenPlace, POLLIN, 0},
                         {started_ ? supervisor_socket_.get() : -1, POLLIN, 0}};
      if (poll(events, 5, -1) < 0) continue;
      if ((events[0].revents & ~POLLIN) != 0) EndWithLifeline();
      if (events[0].revents != 0) PassSignals();
      // Before anything else of the worker's, so that "started" is told first.
      if (events[1].revents != 0) ReadHandOver();
      if (events[2].revents != 0) TakeViolation(events[2].revents);
      if (events[4].revents != 0) ReadWord();
      if (events[3].revents != 0) Reap();
    }
  }

 private:
  // INVARIANT(no-orphans): with a PID namespace everything in it dies by this
  // exit.
  [[noreturn]] void EndWithLifeline() {
    kill(worker_, SIGKILL);
    _exit(kLifelineEnded);
  }

  void PassSignals() {
    unsigned char signals[16];
    const ssize_t got = read(lifeline_.get(), signals, sizeof signals);
    if (got == 0) EndWithLifeline();
    for (ssize_t i = 0; i < got; ++i) {
      if (signals[i] < NSIG) kill(-worker_, signals[i]);
    }
  }

  // False if there was nothing to read.
  bool ReadHandOver() {
    HandOver message;
    PacketDescriptors descriptors;
    const ssize_t got =
        ReceiveDescriptorPacket(hand_over_, &message, sizeof message, descriptors, MSG_DONTWAIT);
    if (got < 0 && errno == EAGAIN) return false;
    if (got == static_cast<ssize_t>(sizeof message)) {
      if (descriptors[0].valid()) listener_ = std::move(descriptors[0]);
      if (message.result.ok()) {
        ready_ = message.ready;
        if (!ready_) Tell(Report::Kind::kWaits);
        if (ready_ && is_spare_) LetItBegin();
      } else {
        failure_ = message.result;
      }
      return true;
    }
    // End of file: the worker's own code runs, or the worker is gone.
    hand_over_ = FdRef();
    if (ready_ && failure_.ok() && !is_spare_) {
      started_ = true;
      Tell(Report::Kind::kStarted);
    }
    return true;
  }

  // In this order: what was not reported has not run.
  void LetItBegin() {
    started_ = true;
    Tell(Report::Kind::kStarted);
    (void)!send(hand_over_.get(), "g", 1, MSG_DONTWAIT | MSG_NOSIGNAL);
  }

  void Tell(Report::Kind kind) {
    Report report;
    report.kind = kind;
    report.layers = layers_.bits();
    Send(report_, report);
  }

  void TakeViolation(short events) {
    if ((events & POLLIN) == 0) {
      listener_.Reset();  // the worker's last thread is gone
      return;
    }
    const std::optional<seccomp_data> call = ReceiveViolation(listener_);
    if (call.has_value()) EndViolator(*call);
  }

  // False if there was nothing to read.
  bool ReadWord() {
    SupervisorWord word;
    PacketDescriptors none;
    const ssize_t got =
        ReceiveDescriptorPacket(supervisor_socket_, &word, sizeof word, none, MSG_DONTWAIT);
    if (got < 0 && errno == EAGAIN) return false;
    if (got != static_cast<ssize_t>(sizeof word)) {
      supervisor_socket_ = FdRef();  // end of file: it is gone
    } else if (word.failure.ok()) {
      EndViolator(word.violation);
    } else {
      failure_ = word.failure;
    }
    return true;
  }

  void EndViolator(const seccomp_data& call) {
    // INVARIANT(default-deny): the call is never answered, so it never happens.
    kill(worker_, SIGKILL);
    if (violated_) return;  // another thread of the dying worker
    violated_ = true;
    Report report;
    report.kind = Report::Kind::kViolation;
    report.architecture = call.arch;
    report.system_call = call.nr;
    static_assert(sizeof report.arguments == sizeof call.args);
    std::memcpy(report.arguments, call.args, sizeof report.arguments);
    report.instruction = call.instruction_pointer;
    Send(report_, report);
  }

  void Reap() {
    signalfd_siginfo signal;
    (void)!read(kChildrenPlace, &signal, sizeof signal);
    for (;;) {
      int status = 0;
      rusage usage;
      const pid_t ended = wait4(-1, &status, WNOHANG | __WALL, &usage);
      if (ended <= 0) return;
      // INVARIANT(fail-closed): a worker whose calls nobody answers.
      if (ended == supervisor_) kill(worker_, SIGKILL);
      if (ended != worker_) continue;  // or an orphan of the namespace
      while (hand_over_.valid() && ReadHandOver()) {
      }
      while (supervisor_socket_.valid() && ReadWord()) {
      }
      // Not by a function that does not return: before one a sanitizer makes system calls of its
      // own.
      if (!started_) {
        SendStartFailed(report_, failure_.ok() ? UntoldFailure(status) : failure_);
        _exit(kStartFailed);
      }
      Send(report_, ExitReport(status, usage));
      _exit(kReported);
    }
  }

  const pid_t worker_;
  const pid_t supervisor_;  // 0: none
  const bool is_spare_;
  const LayerSet layers_;
  FdRef report_;
  FdRef lifeline_;
  FdRef hand_over_;
  FdRef supervisor_socket_;
  UniqueFd listener_;
  bool ready_ = false;
  bool started_ = false;
  bool violated_ = false;
  StepResult failure_;
};

// The sockets and children of an init, before everything has its place. Bare numbers: all three
// processes rearrange their tables, and none returns.
struct Family {
  int hand_over[2] = {-1, -1};     // init and worker
  int introduction[2] = {-1, -1};  // supervisor and worker
  int words[2] = {-1, -1};         // init and supervisor
  int child_ended = -1;            // a signalfd
  pid_t supervisor = 0;
};

bool MakeSocketPair(int ends[2]) {
  return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0;
}

StepResult ConfineInit(const InitPlan& plan, const Family& family, pid_t worker) {
  std::vector<Placement> placements = {{family.hand_over[0], kHandOverPlace},
                                       {family.child_ended, kChildrenPlace}};
  if (family.supervisor != 0) placements.push_back({family.words[0], kSupervisorPlace});
  if (plan.report.valid()) placements.push_back({plan.report.get(), kReportPlace});
  if (plan.lifeline.valid()) placements.push_back({plan.lifeline.get(), kLifelinePlace});
  if (StepResult result = ArrangeDescriptors(placements); !result.ok()) return result;
  if (!plan.confinement.layers.Has(Layer::kSystemCallTable)) return Done();
  ParameterValues values = {};
  values[static_cast<size_t>(Parameter::kWorkerPid)] = static_cast<uint32_t>(worker);
  values[static_cast<size_t>(Parameter::kWorkerGroup)] = static_cast<uint32_t>(-worker);
  StepResult result = InstallFilter(plan.table->Bind(values));
  if (!result.ok()) result.failed = Step::kConfineInit;
  return result;
}

// Up to Landlock; `places` are those of the grants.
StepResult EnterWithGrants(const InitPlan& plan, std::vector<GrantedPlace>& places) {
  const Confinement& confinement = plan.confinement;
  if (plan.supervisor.supervision == nullptr) return EnterSurroundings(confinement);
  // A path can lead to a file system that does not answer.
  if (StepResult result = DieWithStarter(confinement.starter); !result.ok()) return result;
  const std::vector<FileGrant>& grants = plan.supervisor.supervision->files;
  StepResult result =
      OpenGrants(grants, confinement.layers.Has(Layer::kMountNamespace),
                 {.supervisor = confinement.ruleset, .worker = plan.worker.ruleset}, places);
  if (!result.ok()) return result;
  if (confinement.places == nullptr) return EnterSurroundings(confinement);
  Confinement with_view = confinement;
  const std::vector<ProgramPlace> view = ProgramView(*confinement.places, grants);
  with_view.places = &view;
  if (result = EnterSurroundings(with_view); !result.ok()) return result;
  return OpenProgramPlaces(*confinement.places, places);
}

StepResult StartSupervisor(const InitPlan& plan, std::vector<GrantedPlace> places, pid_t init,
                           Family& family) {
  if (!MakeSocketPair(family.words) || !MakeSocketPair(family.introduction)) {
    return FailedWithErrno(Step::kSupervisor);
  }
  family.supervisor = fork();
  if (family.supervisor < 0) return FailedWithErrno(Step::kSupervisor);
  if (family.supervisor == 0) {
    RunSupervisor(plan.supervisor, plan.confinement, std::move(places),
                  FdRef::FromRaw(family.words[1]), FdRef::FromRaw(family.introduction[0]), init);
  }
  // Only the supervisor's end: its end of file must mean its end.
  close(family.introduction[0]);
  close(family.words[1]);
  return Done();
}

}  // namespace

Policy InitPolicy() {
  Policy p;
  p.Add(On("poll", "ppoll", "read", "recvmsg", "wait4", "close", "exit_group", "restart_syscall")
            .Always(Allow())
            .For("waiting for the worker, the lifeline and violations"));
  p.Add(On("sendto")
            .When({Arg32(0).IsOneOf({kReportPlace, kHandOverPlace}), Arg64(4).Is(0)}, Allow())
            .Otherwise(Die())
            .For("reports; a spare may begin"));
  p.Add(On("ioctl")
            .When({Arg32(1).Is(SECCOMP_IOCTL_NOTIF_RECV)}, Allow())
            .Otherwise(Die())
            .For("violations are received, never answered"));
  p.Add(On("kill")
            .When({Arg32(0).Is(Parameter::kWorkerPid), Arg32(1).Is(SIGKILL)}, Allow())
            .When({Arg32(0).Is(Parameter::kWorkerGroup)}, Allow())
            .Otherwise(Die())
            .For("a violation, the end of the lifeline; signals that the starter passes on"));
  return p;
}

void RunInit(const InitPlan& plan) {
  sigset_t all;
  sigfillset(&all);
  sigprocmask(SIG_SETMASK, &all, nullptr);
  // Room for the placements, whatever the application had allowed itself.
  (void)RaiseDescriptorLimit();
  // Away from the application's terminal.
  if (setsid() < 0) FailStart(plan.report, FailedWithErrno(Step::kSession));

  std::vector<GrantedPlace> places;
  if (StepResult result = EnterWithGrants(plan, places); !result.ok()) {
    FailStart(plan.report, result);
  }
  signal(SIGCHLD, SIG_DFL);  // the application may have ignored its children
  sigset_t children;
  sigemptyset(&children);
  sigaddset(&children, SIGCHLD);
  Family family;
  family.child_ended = signalfd(-1, &children, SFD_CLOEXEC | SFD_NONBLOCK);
  if (family.child_ended < 0 || !MakeSocketPair(family.hand_over)) {
    FailStart(plan.report, FailedWithErrno(Step::kForkWorker));
  }
  const pid_t init = getpid();
  if (plan.supervisor.supervision != nullptr) {
    StepResult result = StartSupervisor(plan, std::move(places), init, family);
    if (!result.ok()) FailStart(plan.report, result);
  }
  if (StepResult result = LeaveRights(plan.confinement); !result.ok()) {
    FailStart(plan.report, result);
  }
  // The C library's fork: it tells the library about the new thread's id.
  const pid_t worker = fork();
  if (worker < 0) FailStart(plan.report, FailedWithErrno(Step::kForkWorker));
  if (worker == 0) {
    RunWorker(plan.worker, {.init = init,
                            .hand_over = FdRef::FromRaw(family.hand_over[1]),
                            .supervisor = family.supervisor,
                            .introduction = FdRef::FromRaw(family.introduction[1])});
  }

  // Closes the others' ends as well.
  const StepResult confined = ConfineInit(plan, family, worker);
  if (!confined.ok()) {
    kill(worker, SIGKILL);
    SendStartFailed(FdRef::FromRaw(kReportPlace), confined);
    _exit(kStartFailed);
  }
  Vigil(plan, worker, family.supervisor).Keep();
}

}  // namespace capbroker::sandbox
