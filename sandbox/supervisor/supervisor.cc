#include "sandbox/supervisor/supervisor.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "base/descriptor_packet.h"
#include "base/open_how.h"
#include "sandbox/descriptor_table.h"
#include "sandbox/supervisor/capability_errno.h"
#include "sandbox/supervisor/file_calls.h"
#include "sandbox/supervisor/granted_names.h"
#include "sandbox/supervisor/journal.h"
#include "sandbox/supervisor/kernel_name.h"
#include "sandbox/supervisor/metadata_calls.h"
#include "sandbox/supervisor/notification.h"
#include "sandbox/supervisor/outside.h"
#include "sandbox/supervisor/shared_flags.h"
#include "sandbox/supervisor/socket_calls.h"
#include "sandbox/supervisor/tree_calls.h"
#include "sandbox/supervisor/worker_descriptors.h"
#include "sandbox/supervisor/worker_memory.h"
#include "sandbox/supervisor/working_place.h"
#include "sandbox/table/filter_evaluator.h"
#include "sandbox/table/seccomp.h"

namespace capbroker::sandbox {
namespace {

// The supervisor's whole descriptor table, besides what it is just about to give away, and /proc
// where it looks through that (worker_descriptors.h).
constexpr int kInitPlace = 0;
constexpr int kWorkerPlace = 1;    // until the worker runs
constexpr int kListenerPlace = 2;  // received
constexpr int kJournalPlace = 3;   // if there is one
constexpr int kOutsidePlace = 8;   // channels; a multiple of their number, for the table
constexpr int kRootsPlace = kOutsidePlace + static_cast<int>(kMostOutsideChannels);
static_assert(kOutsidePlace % kMostOutsideChannels == 0);

// At the same address in the worker, until that executes a program.
constexpr char kLandmark[] = "capbroker";

void Tell(const SupervisorWord& word) { (void)!send(kInitPlace, &word, sizeof word, MSG_NOSIGNAL); }

[[noreturn]] void FailStart(StepResult result) {
  SupervisorWord word = {};
  word.failure = result;
  Tell(word);
  _exit(1);
}

void Require(StepResult result) {
  if (!result.ok()) FailStart(result);  // INVARIANT(fail-closed)
}

StepResult DieWithInit(pid_t init) {
  if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0) return FailedWithErrno(Step::kParentWatch);
  // INVARIANT(no-orphans): the init may have died before the signal was asked for.
  return getppid() == init ? Done() : FailedWith(Step::kParentWatch, ESRCH);
}

// Puts everything in its place; the roots' numbers change.
StepResult Arrange(const Supervision& supervision, std::vector<GrantedPlace>& places, FdRef to_init,
                   FdRef to_worker) {
  std::vector<Placement> placements = {{to_init.get(), kInitPlace},
                                       {to_worker.get(), kWorkerPlace}};
  if (supervision.journal.valid()) {
    placements.push_back({supervision.journal.get(), kJournalPlace});
  }
  int outside = kOutsidePlace;
  for (const auto* channels : {&supervision.outside.connectors, &supervision.outside.listeners}) {
    for (const UniqueFd& channel : *channels) placements.push_back({channel.get(), outside++});
  }
  for (size_t i = 0; i < places.size(); ++i) {
    placements.push_back({places[i].root.get(), kRootsPlace + static_cast<int>(i)});
  }
  StepResult result = ArrangeDescriptors(placements);
  for (size_t i = 0; i < places.size(); ++i) {
    (void)std::move(places[i].root).Release();  // closed, or something else's number
    if (result.ok()) places[i].root.Reset(kRootsPlace + static_cast<int>(i));
  }
  return result;
}

// The worker, after its listener was received to kListenerPlace.
StepResult MeetWorker(pid_t& worker) {
  WorkerIntroduction introduction;
  PacketDescriptors descriptors;
  // End of file: the worker failed, and tells the init itself.
  if (ReceiveDescriptorPacket(FdRef::FromRaw(kWorkerPlace), &introduction, sizeof introduction,
                              descriptors) != static_cast<ssize_t>(sizeof introduction)) {
    _exit(1);
  }
  worker = introduction.worker;
  // It stays, at its place.
  if (std::move(descriptors[0]).Release() != kListenerPlace) {
    return FailedWith(Step::kSupervisor, EBADF);
  }
  // A host may forbid even an ancestor to look into a process: better known now.
  char landmark[sizeof kLandmark];
  const int error =
      WorkerMemory(worker).Read(reinterpret_cast<uint64_t>(&kLandmark), landmark, sizeof landmark);
  if (error != 0) return FailedWith(Step::kSupervisor, error);
  return std::memcmp(landmark, kLandmark, sizeof landmark) == 0
             ? Done()
             : FailedWith(Step::kSupervisor, EFAULT);
}

// Better known now, too: the worker's table asks for what takes a descriptor.
StepResult CheckSight(const WorkerDescriptors& descriptors, pid_t worker) {
  const Opened seen = descriptors.Look(worker, STDIN_FILENO);
  return seen.fd.valid() || !descriptors.sees() ? Done()
                                                : FailedWith(Step::kSupervisor, seen.error_number);
}

// RLIM_INFINITY: there is none.
uint64_t LimitOf(const std::vector<ResourceLimit>& limits, int resource) {
  for (const ResourceLimit& limit : limits) {
    if (limit.resource == resource) return limit.limit.rlim_cur;
  }
  return RLIM_INFINITY;
}

StepResult BoundTime(const std::vector<ResourceLimit>& limits) {
  std::vector<ResourceLimit> here;
  for (const ResourceLimit& limit : limits) {
    if (limit.resource == RLIMIT_CPU || limit.resource == RLIMIT_CORE) here.push_back(limit);
  }
  return ApplyLimits(here);
}

class Watch {
 public:
  Watch(std::vector<sock_filter> workers_table, const Supervision& supervision,
        const WorkerDescriptors& descriptors, GrantedNames names, uint64_t largest_file)
      : workers_table_(std::move(workers_table)),
        descriptors_(descriptors),
        refusal_(supervision.refusal),
        journal_(supervision.journal.valid() ? FdRef::FromRaw(kJournalPlace) : FdRef(),
                 supervision.journal_tells_allowed),
        names_(std::move(names)),
        files_(names_),
        trees_(names_),
        metadata_(names_, largest_file) {}

  void Connect(std::unique_ptr<Outside> outside, int highest_descriptor, bool processes) {
    outside_ = std::move(outside);
    // glibc reads it before it asks anybody, and goes on if there is none.
    names_.SetMissing("/etc/resolv.conf");
    sockets_.emplace(*outside_, highest_descriptor, processes);
  }

  [[noreturn]] void Keep() {
    const FdRef listener = FdRef::FromRaw(kListenerPlace);
    for (;;) {
      // With nothing else to wait for, the call itself is.
      if (sockets_.has_value() && !AwaitCall()) continue;
      if (const std::optional<Notification> call = Notification::Receive(listener)) {
        Take(*call);
      } else {
        EndWithWorker();
      }
    }
  }

 private:
  // Does what there is to do for connections until then. True: there is a call.
  bool AwaitCall() {
    std::vector<pollfd> events = {{.fd = kListenerPlace, .events = POLLIN, .revents = 0}};
    sockets_->AppendTo(events);
    if (poll(events.data(), events.size(), sockets_->Timeout()) < 0) return false;
    if (events[0].revents != 0 && (events[0].revents & POLLIN) == 0) EndWithWorker();
    sockets_->GoOn(events);
    TellOfHosts();
    return events[0].revents != 0;
  }

  // If its last thread is gone. Where a receiving kernel does not say so, the init's end does.
  void EndWithWorker() {
    pollfd calls = {.fd = kListenerPlace, .events = POLLIN, .revents = 0};
    if (poll(&calls, 1, 0) > 0 && (calls.revents & POLLIN) == 0) _exit(0);
  }

  void Take(const Notification& call) {
    // The table itself says which of both it was.
    const absl::StatusOr<uint32_t> action = EvaluateFilter(workers_table_, call.call());
    if (action.ok() && *action == kAskAction) {
      if (sockets_.has_value()) sockets_->NoteCaller(call);
      std::optional<Answer> answer = files_.AnswerTo(call);
      if (!answer.has_value()) answer = trees_.AnswerTo(call);
      if (!answer.has_value()) answer = metadata_.AnswerTo(call);
      if (!answer.has_value() && sockets_.has_value()) answer = sockets_->AnswerTo(call);
      if (!answer.has_value() && call.call().nr == SYS_fcntl)
        answer = SetSharedFlags(descriptors_, call);
      if (!answer.has_value() && call.call().nr == SYS_uname) answer = TellKernelName(call);
      if (!answer.has_value()) answer = Failure(ENOSYS);
      const bool refused = answer->error_number == kEnotcapable;
      const std::vector<NamedAccess> asked = names_.TakeAsked();
      if (!TellOfHosts()) journal_.Tell(call.call().nr, answer->error_number, refused, asked);
      if (answer->later) return;
      if (refused) answer->error_number = RefusalOf(call, asked);
      if (answer->error_number == kEcapmode && refusal_ != Refusal::kNotCapable) {
        answer->error_number = EPERM;
      }
      call.Send(*std::move(answer));
      return;
    }
    // INVARIANT(default-deny): the call is never answered, so it never happens.
    SupervisorWord word = {};
    word.violation = call.call();
    Tell(word);
  }

  // The errno for what is not granted.
  int RefusalOf(const Notification& call, const std::vector<NamedAccess>& asked) const {
    if (refusal_ == Refusal::kNotCapable) return kEnotcapable;
    if (refusal_ == Refusal::kAccess) return EACCES;
    if (call.call().nr == SYS_connect) return ENETUNREACH;
    if (call.call().nr == SYS_bind) return EACCES;
    const bool writes = !asked.empty() && (asked.back().access & (kWriteFiles | kCreateFiles)) != 0;
    return writes ? EACCES : ENOENT;
  }

  // False if no hosts were named.
  bool TellOfHosts() {
    if (!sockets_.has_value()) return false;
    const std::vector<NamedHost> hosts = sockets_->TakeHosts();
    for (const NamedHost& host : hosts) {
      journal_.Tell(host.is_server ? SYS_bind : SYS_connect, host.error_number,
                    host.error_number == kEnotcapable,
                    {{host.name, host.is_server ? kListenAt : kConnectHost}});
    }
    return !hosts.empty();
  }

  const std::vector<sock_filter> workers_table_;
  const WorkerDescriptors& descriptors_;
  const Refusal refusal_;
  Journal journal_;
  GrantedNames names_;
  FileCalls files_;
  TreeCalls trees_;
  MetadataCalls metadata_;
  std::unique_ptr<Outside> outside_;  // null: no connections are granted
  std::optional<SocketCalls> sockets_;
};

// What the client of a channel does, and what is done with the sockets that come of it.
void AddConnections(Policy& p) {
  p.Add(On("sendmsg", "recvmsg")
            .When({Arg32(0).Ignoring(kMostOutsideChannels - 1).Is(kOutsidePlace)}, Allow())
            .Otherwise(Die())
            .For("calls on the channels"));
  p.Add(On("futex", "clock_gettime", "getrandom")
            .Always(Allow())
            .For("locks and deadlines of their client, hash seeds"));
  p.Add(On("getsockopt")
            .When({Arg32(1).IsOneOf({SOL_SOCKET, IPPROTO_TCP, IPPROTO_IPV6})}, Allow())
            .Otherwise(Die())
            .For("what a socket is, and what the worker has set on it"));
  p.Add(On("setsockopt")
            .When({Arg32(1).Is(SOL_SOCKET),
                   Arg32(2).IsOneOf({SO_KEEPALIVE, SO_RCVLOWAT, SO_RCVTIMEO, SO_SNDTIMEO})},
                  Allow())
            .When({Arg32(1).Is(IPPROTO_TCP),
                   Arg32(2).IsOneOf({TCP_NODELAY, TCP_KEEPIDLE, TCP_KEEPINTVL, TCP_KEEPCNT})},
                  Allow())
            .Otherwise(Die())
            .For("what the worker had set on its own"));
  p.Add(On("getsockname").Always(Allow()).For("whether a socket has a port already"));
  p.Add(On("shutdown").Always(Allow()).For("connections that the worker has closed"));
  p.Add(On("socketpair")
            .When({Arg32(0).Is(AF_UNIX), Arg32(1).Is(SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK),
                   Arg32(2).Is(0)},
                  Allow())
            .Otherwise(Die())
            .For("conversations with the worker's C library"));
  p.Add(On("recvfrom").When({Arg64(4).Is(0)}, Allow()).Otherwise(Die()).For("the same"));
}

// What the worker has open.
void AddSight(Policy& p, DescriptorSight sight) {
  if (sight == DescriptorSight::kDuplicates) {
    p.Add(On("pidfd_open", "kcmp")
              .Always(Allow())
              .For("the process of a thread that called; whom else it finds is Landlock's to say"));
    p.Add(On("pidfd_getfd")
              .When({Arg32(2).Is(0)}, Allow())
              .Otherwise(Die())
              .For("the worker's directories, and its working places"));
  }
  if (sight == DescriptorSight::kHandles) {
    p.Add(On("setfsuid", "setfsgid")
              .Always(Allow())
              .For("looks through /proc as the worker; the kernel changes only among the ids that "
                   "it has"));
    p.Add(On("prctl")
              .When({Arg32(0).Is(PR_SET_DUMPABLE), Arg64(1).Is(0)}, Allow())
              .When({Arg32(0).Is(PR_SET_PDEATHSIG), Arg64(1).Is(SIGKILL)}, Allow())
              .Otherwise(Die())
              .For("both are undone by that"));
    p.Add(On("getppid").Always(Allow()).For("the same"));
  }
}

}  // namespace

Policy SupervisorPolicy(const SupervisorTable& table) {
  constexpr uint32_t kHere = static_cast<uint32_t>(AT_FDCWD);
  Policy p;
  p.Add(On("poll", "ppoll", "close", "exit_group", "restart_syscall", "munmap", "brk", "mremap")
            .Always(Allow())
            .For("waiting, the end, memory for names"));
  p.Add(On("mmap")
            .When({Arg64(2).HasOnly(PROT_READ | PROT_WRITE), Arg64(3).Has(MAP_ANONYMOUS)}, Allow())
            .Otherwise(Die())
            .For("malloc"));
  p.Add(On("madvise").When({Arg32(2).Is(MADV_DONTNEED)}, Allow()).Otherwise(Die()).For("free"));
  p.Add(On("ioctl")
            .When({Arg32(0).Is(kListenerPlace),
                   Arg32(1).IsOneOf({SECCOMP_IOCTL_NOTIF_RECV, SECCOMP_IOCTL_NOTIF_SEND,
                                     SECCOMP_IOCTL_NOTIF_ID_VALID, SECCOMP_IOCTL_NOTIF_ADDFD})},
                  Allow())
            .Otherwise(Die())
            .For("receiving calls and answering them"));
  p.Add(On("sendto")
            .When({Arg32(0).IsOneOf({kInitPlace, kWorkerPlace, kJournalPlace}), Arg64(4).Is(0)},
                  Allow())
            .When({Arg64(4).Is(0)}, table.connects ? Allow() : Die())
            .Otherwise(Die())
            .For("violations, to the init; the worker's go-ahead; the journal; answers to the "
                 "worker's C library"));
  p.Add(On("process_vm_readv", "process_vm_writev")
            .When({Arg64(2).Is(1), Arg64(4).Is(1), Arg64(5).Is(0)}, Allow())
            .Otherwise(Die())
            .For("arguments and results; of which processes is Landlock's to say"));
  AddSight(p, table.sight);
  p.Add(On("memfd_create", "pread64", "pwrite64").Always(Allow()).For("working places"));
  p.Add(On("uname").Always(Allow()).For("the kernel's version, for the worker"));
  p.Add(On("fcntl")
            .When({Arg32(1).IsOneOf({F_ADD_SEALS, F_GET_SEALS, F_GETFL})}, Allow())
            .When({Arg32(1).IsOneOf({F_SETFL, F_GETFD, F_DUPFD_CLOEXEC})},
                  table.connects ? Allow() : Die())
            .Otherwise(Die())
            .For("working places; with connections what came in a message is looked at, and "
                 "O_NONBLOCK of the worker's sockets is set"));
  p.Add(On("fchmod").Always(Allow()).For("permissions of what a walk has found"));
  p.Add(On("ftruncate", "fallocate").Always(Allow()).For("sizes of what the worker has open"));
  p.Add(On("utimensat").When({Arg64(1).Is(0)}, Allow()).Otherwise(Die()).For("its times"));
  // From a descriptor, never from the working directory.
  p.Add(On("openat2", "readlinkat")
            .When({Arg32(0).Is(kHere)}, Die())
            .Otherwise(Allow())
            .For("walks that start at the root of a grant; looks at the worker's descriptors"));
  p.Add(On("mkdirat", "unlinkat")
            .When({Arg32(0).Is(kHere)}, Die())
            .Otherwise(Allow())
            .For("a name in a directory that a walk has found"));
  p.Add(On("renameat2")
            .When({Arg32(0).Is(kHere)}, Die())
            .When({Arg32(2).Is(kHere)}, Die())
            .Otherwise(Allow())
            .For("the same, twice"));
  p.Add(On("newfstatat")
            .When({Arg32(0).Is(kHere)}, Die())
            .When({Arg32(3).Is(AT_EMPTY_PATH)}, Allow())
            .Otherwise(Die())
            .For("looking at what a walk has found"));
  p.Add(On("fstat", "fstatfs").Always(Allow()).For("the same"));
  p.Add(On("statx")
            .When({Arg32(0).Is(kHere)}, Die())
            .When({Arg32(2).Has(AT_EMPTY_PATH)}, Allow())
            .Otherwise(Die())
            .For("the same"));
  p.Add(On("faccessat2")
            .When({Arg32(0).Is(kHere)}, Die())
            .When({Arg32(3).Has(AT_EMPTY_PATH)}, Allow())
            .Otherwise(Die())
            .For("the same"));
  if (table.connects) AddConnections(p);
  return p;
}

void RunSupervisor(const SupervisorPlan& plan, const Confinement& confinement,
                   std::vector<GrantedPlace> places, FdRef to_init, FdRef to_worker, pid_t init) {
  if (!Arrange(*plan.supervision, places, to_init, to_worker).ok())
    _exit(1);  // there may be nobody to tell
  Require(LeaveSupervisorsRights(confinement));
  // After the change of ids, which takes the death signal back.
  Require(DieWithInit(init));
  Require(BoundTime(plan.limits));
  umask(0);  // the worker's is what its files are created with
  pid_t worker = 0;
  Require(MeetWorker(worker));
  WakeCallersHere(FdRef::FromRaw(kListenerPlace));

  const WorkerDescriptors descriptors(plan.sight, init);
  Require(CheckSight(descriptors, worker));
  ParameterValues values = {};
  values[static_cast<size_t>(Parameter::kWorkerPid)] = static_cast<uint32_t>(worker);
  values[static_cast<size_t>(Parameter::kWorkingPlace)] =
      static_cast<uint32_t>(plan.working_place_number);
  GrantedNames names(GrantedPlaces(std::move(places)),
                     WorkingPlaces(plan.working_place_number,
                                   {.directory = plan.supervision->working_directory,
                                    .file_mode_mask = plan.supervision->file_mode_mask},
                                   descriptors),
                     descriptors);
  Watch watch(plan.workers_table->Bind(values), *plan.supervision, descriptors, std::move(names),
              LimitOf(plan.limits, RLIMIT_FSIZE));
  if (const OutsideChannels& given = plan.supervision->outside; !given.empty()) {
    OutsideChannels channels;  // at their places
    int place = kOutsidePlace;
    for (size_t i = 0; i < given.connectors.size(); ++i) channels.connectors.emplace_back(place++);
    for (size_t i = 0; i < given.listeners.size(); ++i) channels.listeners.emplace_back(place++);
    watch.Connect(plan.supervision->make_outside(std::move(channels)), plan.working_place_number,
                  plan.supervision->processes);
  }
  // Nothing of the worker's own was read yet, and nothing is before this holds.
  StepResult confined = InstallFilter(plan.table->Bind({}));
  if (!confined.ok()) confined.failed = Step::kSupervisor;
  Require(confined);
  if (send(kWorkerPlace, "", 1, MSG_NOSIGNAL) != 1) _exit(1);
  close(kWorkerPlace);
  watch.Keep();
}

}  // namespace capbroker::sandbox
