// Broker::Start() and Broker::StartProgram(): Linux's pdfork. A target of its own,
// because it needs //broker at link time and workers don't.
#include <fcntl.h>
#include <grpc/grpc.h>
#include <linux/close_range.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "base/errno_status.h"
#include "base/lifeline.h"
#include "base/pid_fd.h"
#include "base/status_macros.h"
#include "base/thread_count.h"
#include "client/broker.h"
#include "client/broker_cgroup.h"
#include "client/broker_link.h"
#include "client/broker_main.h"
#include "client/grants.h"
#include "client/worker_cgroups.h"
#include "transport/lane_socket.h"

namespace capbroker {
namespace {

constexpr int kMostSpares = 64;  // of a kind

constexpr char kWhatToDo[] =
    "call it first thing in main, or use Broker::StartProgram, which executes a broker program";

// INVARIANT(fork-before-threads): a fork of a threaded process has locks that
// nobody will ever release.
absl::Status CheckMayFork() {
  CB_ASSIGN_OR_RETURN(const bool single, IsSingleThreaded());
  if (!single) {
    return absl::FailedPreconditionError(
        absl::StrCat("start broker: this process has more than one thread: ", kWhatToDo));
  }
  if (grpc_is_initialized() != 0) {
    return absl::FailedPreconditionError(
        absl::StrCat("start broker: gRPC is in use in this process: ", kWhatToDo));
  }
  return absl::OkStatus();
}

// Runs in a forked worker, confined.
int EnterWorker(uint64_t entry) {
  absl::StatusOr<Grants> grants = Grants::FromEnvironment();
  if (!grants.ok()) return 125;
  return reinterpret_cast<int (*)(Grants)>(static_cast<uintptr_t>(entry))(*std::move(grants));
}

// Where the program's process has that pipe until it is the program: above all that this has.
constexpr int kFailurePlace = kProgramCgroupDescriptor + 1;

// What the children of StartProgram() need, made before there are any: the caller
// may have threads, so that they can only make system calls.
struct Execution {
  const char* path;
  char* const* arguments;
  int lane;
  int lifeline;
  int cgroup;        // or -1
  int failure;       // write end of a pipe
  int process = -1;  // out: the pidfd of the program
};

// Never returns.
void Execute(const Execution& execution) {
  int error = 0;
  struct sigaction ignored = {};
  for (int signal = 1; signal < NSIG; ++signal) {
    struct sigaction fresh = {};
    fresh.sa_handler = SIG_DFL;
    (void)sigaction(signal, &fresh, &ignored);
  }
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  // Out of the way of the numbers that they are to have.
  const int lane = fcntl(execution.lane, F_DUPFD_CLOEXEC, 10);
  const int lifeline = fcntl(execution.lifeline, F_DUPFD_CLOEXEC, 10);
  const int cgroup = execution.cgroup < 0 ? -1 : fcntl(execution.cgroup, F_DUPFD_CLOEXEC, 10);
  const int failure = fcntl(execution.failure, F_DUPFD_CLOEXEC, 10);
  close(kProgramCgroupDescriptor);  // whatever it was
  if (lane < 0 || lifeline < 0 || failure < 0 || dup2(lane, kProgramLaneDescriptor) < 0 ||
      dup2(lifeline, kProgramLifelineDescriptor) < 0 ||
      (execution.cgroup >= 0 && dup2(cgroup, kProgramCgroupDescriptor) < 0) ||
      dup2(failure, kFailurePlace) < 0 || fcntl(kFailurePlace, F_SETFD, FD_CLOEXEC) != 0 ||
      syscall(SYS_close_range, kFailurePlace + 1u, ~0u, 0u) != 0) {
    error = errno;
  } else if (DieWithLifeline(UniqueFd(kProgramLifelineDescriptor)).ok()) {
    execve(execution.path, execution.arguments, environ);
    error = errno;
  } else {
    error = EIO;
  }
  // Closed if it is the other that is left.
  const int told = failure < 0 ? execution.failure : failure;
  if (write(told, &error, sizeof error) < 0) (void)!write(kFailurePlace, &error, sizeof error);
  _exit(127);
}

// Makes the program's process and ends, so that the program is nobody's child
// here: an exec makes a child announce its death by SIGCHLD and visible to wait()
// whatever its parent had asked for. Shares memory and descriptors with the caller,
// which waits meanwhile.
int ForkOrphan(void* argument) {
  auto& execution = *static_cast<Execution*>(argument);
  clone_args args = {};
  args.flags = CLONE_PIDFD;
  args.pidfd = reinterpret_cast<uint64_t>(&execution.process);
  const long child = syscall(SYS_clone3, &args, sizeof args);
  if (child == 0) Execute(execution);
  _exit(child < 0 ? errno : 0);
}

absl::StatusOr<PidFd> StartOrphan(Execution& execution) {
  constexpr size_t kStackSize = 64 * 1024;
  void* const stack = mmap(nullptr, kStackSize, PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
  if (stack == MAP_FAILED) return ErrnoToStatus(errno, "start broker program");
  const absl::Cleanup unmap = [=] { munmap(stack, kStackSize); };
  // A handler must not run in a child that shares this memory.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  const int pid = clone(ForkOrphan, static_cast<char*>(stack) + kStackSize,
                        CLONE_VM | CLONE_VFORK | CLONE_FILES, &execution);
  const int error = errno;
  int status = 0;
  if (pid > 0) {
    while (waitpid(pid, &status, __WALL) < 0 && errno == EINTR) {
    }
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (pid < 0) return ErrnoToStatus(error, "start broker program");
  if (execution.process < 0) return ErrnoToStatus(WEXITSTATUS(status), "start broker program");
  return PidFd(UniqueFd(execution.process));
}

}  // namespace

class BrokerLauncher {
 public:
  static absl::StatusOr<Broker> Fork(const BrokerOptions& options) {
    for (const int spares : {options.spare_workers, options.spare_services}) {
      if (spares >= 0 && spares <= kMostSpares) continue;
      return absl::InvalidArgumentError(
          absl::StrCat("start broker: ", spares, " spares, at most ", kMostSpares));
    }
    CB_RETURN_IF_ERROR(CheckMayFork());
    CB_ASSIGN_OR_RETURN(BrokerCgroup cgroup, MakeCgroup(options.cgroups));
    CB_ASSIGN_OR_RETURN(transport::LanePair lane,
                        transport::MakeLane(transport::ClientDescriptors::kAccepted));
    CB_ASSIGN_OR_RETURN(Lifeline line, MakeLifeline());
    // What is buffered would otherwise be written by both.
    fflush(nullptr);
    CB_ASSIGN_OR_RETURN(Cloned cloned, CloneProcess({}));
    if (cloned.pid == 0) {
      lane.client.Reset();
      line.kept.Reset();
      _exit(RunBroker({std::move(lane.service), std::move(line.held), EnterWorker,
                       static_cast<size_t>(options.spare_workers),
                       static_cast<size_t>(options.spare_services), std::move(cgroup).Take()}));
    }
    return Broker(std::make_shared<BrokerLink>(std::move(lane.client), std::move(line.kept),
                                               std::move(cloned.process), /*is_child=*/true,
                                               std::move(cgroup)));
  }

  static absl::StatusOr<Broker> Exec(const std::string& path,
                                     const std::vector<std::string>& arguments,
                                     const WorkerCgroups& cgroups) {
    CB_ASSIGN_OR_RETURN(BrokerCgroup cgroup, MakeCgroup(cgroups));
    CB_ASSIGN_OR_RETURN(transport::LanePair lane,
                        transport::MakeLane(transport::ClientDescriptors::kAccepted));
    CB_ASSIGN_OR_RETURN(Lifeline line, MakeLifeline());
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) return ErrnoToStatus(errno, "start broker program");
    const UniqueFd failed(ends[0]);
    UniqueFd failure(ends[1]);
    std::vector<char*> argv = {const_cast<char*>(path.c_str())};
    for (const std::string& argument : arguments) {
      argv.push_back(const_cast<char*>(argument.c_str()));
    }
    argv.push_back(nullptr);
    Execution execution = {
        path.c_str(), argv.data(), lane.service.get(), line.held.get(), cgroup.directory().get(),
        failure.get()};
    CB_ASSIGN_OR_RETURN(PidFd process, StartOrphan(execution));
    failure.Reset();
    int error = 0;
    ssize_t got;
    while ((got = read(failed.get(), &error, sizeof error)) < 0 && errno == EINTR) {
    }
    if (got > 0) return ErrnoToStatus(error, absl::StrCat("execute broker program ", path));
    return Broker(std::make_shared<BrokerLink>(std::move(lane.client), std::move(line.kept),
                                               std::move(process), /*is_child=*/false,
                                               std::move(cgroup)));
  }

 private:
  // None if none is asked for.
  static absl::StatusOr<BrokerCgroup> MakeCgroup(const WorkerCgroups& options) {
    if (options.beneath.empty()) return BrokerCgroup();
    return BrokerCgroup::Make(options);
  }
};

absl::StatusOr<Broker> Broker::Start(const BrokerOptions& options) {
  return BrokerLauncher::Fork(options);
}

Broker Broker::StartOrDie(const BrokerOptions& options) {
  absl::StatusOr<Broker> broker = Start(options);
  if (!broker.ok()) {
    fprintf(stderr, "%s\n", broker.status().ToString().c_str());
    abort();
  }
  return *std::move(broker);
}

absl::StatusOr<Broker> Broker::StartProgram(const std::string& path,
                                            const std::vector<std::string>& arguments,
                                            const WorkerCgroups& cgroups) {
  return BrokerLauncher::Exec(path, arguments, cgroups);
}

}  // namespace capbroker
