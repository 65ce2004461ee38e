#include "tests/rights/specimens.h"

#include <fcntl.h>
#include <linux/filter.h>
#include <linux/netlink.h>
#include <linux/perf_event.h>
#include <linux/seccomp.h>
#include <linux/userfaultfd.h>
#include <linux/vm_sockets.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/fanotify.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <utility>

#include "absl/strings/str_cat.h"

namespace capbroker::testing {
namespace {

using Rights = Specimen::Rights;

// In a folder of the test's own.
std::string FilePath(const std::string& name) {
  const char* const folder = getenv("TEST_TMPDIR");
  return absl::StrCat(folder != nullptr ? folder : "/tmp", "/rights_", getpid(), "_", name);
}

UniqueFd File(int flags, size_t size) {
  const std::string path = FilePath("file");
  {
    const UniqueFd made(open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    const std::string content(size, 'x');
    if (write(made.get(), content.data(), size) != static_cast<ssize_t>(size)) return UniqueFd();
  }
  return UniqueFd(open(path.c_str(), flags | O_CLOEXEC));
}

UniqueFd Memfd(unsigned seals, size_t size) {
  UniqueFd memory(memfd_create("specimen", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (ftruncate(memory.get(), static_cast<off_t>(size)) != 0) return UniqueFd();
  if (seals != 0 && fcntl(memory.get(), F_ADD_SEALS, seals) != 0) return UniqueFd();
  return memory;
}

// With another access mode, by its entry in /proc.
UniqueFd Reopened(UniqueFd fd, int flags) {
  return UniqueFd(
      open(absl::StrCat("/proc/self/fd/", fd.get()).c_str(), flags | O_CLOEXEC | O_NONBLOCK));
}

UniqueFd PipeEnd(int end) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return UniqueFd();
  close(ends[1 - end]);
  return UniqueFd(ends[end]);
}

UniqueFd Fifo(int flags) {
  const std::string path = FilePath("fifo");
  mkfifo(path.c_str(), 0600);
  return UniqueFd(open(path.c_str(), flags | O_CLOEXEC));
}

UniqueFd UnixPairEnd(int type) {
  int ends[2];
  if (socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, ends) != 0) return UniqueFd();
  close(ends[1]);
  return UniqueFd(ends[0]);
}

UniqueFd Listening(int domain, int type) {
  UniqueFd listener(socket(domain, type | SOCK_CLOEXEC, 0));
  sockaddr_storage address = {};
  address.ss_family = static_cast<sa_family_t>(domain);
  // The kernel chooses: a port, or an abstract name.
  const socklen_t size = domain == AF_UNIX ? sizeof(sa_family_t) : sizeof(sockaddr_in);
  const bool listens = bind(listener.get(), reinterpret_cast<sockaddr*>(&address), size) == 0 &&
                       listen(listener.get(), 1) == 0;
  return listens ? std::move(listener) : UniqueFd();
}

UniqueFd Socket(int domain, int type, int protocol = 0) {
  return UniqueFd(socket(domain, type | SOCK_CLOEXEC, protocol));
}

UniqueFd Opened(const char* path, int flags) {
  return UniqueFd(open(path, flags | O_CLOEXEC, 0600));
}

UniqueFd Perf() {
  perf_event_attr attributes = {};
  attributes.size = sizeof attributes;
  attributes.type = PERF_TYPE_SOFTWARE;
  attributes.config = PERF_COUNT_SW_DUMMY;
  attributes.exclude_kernel = 1;
  return UniqueFd(
      static_cast<int>(syscall(SYS_perf_event_open, &attributes, 0, -1, -1, PERF_FLAG_FD_CLOEXEC)));
}

// Of a child, since a filter stays: fetched from it, and then it may go.
UniqueFd SeccompListener() {
  int ready[2];
  if (pipe2(ready, O_CLOEXEC) != 0) return UniqueFd();
  const pid_t child = fork();
  if (child == 0) {
    sock_filter allow = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    sock_fprog program = {1, &allow};
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    const int listener = static_cast<int>(
        syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program));
    (void)!write(ready[1], &listener, sizeof listener);
    pause();
    _exit(0);
  }
  int number = -1;
  UniqueFd listener;
  if (read(ready[0], &number, sizeof number) == sizeof number && number >= 0) {
    const UniqueFd process(static_cast<int>(syscall(SYS_pidfd_open, child, 0)));
    listener.Reset(static_cast<int>(syscall(SYS_pidfd_getfd, process.get(), number, 0)));
  }
  close(ready[0]);
  close(ready[1]);
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  return listener;
}

UniqueFd BlockDevice() {
  for (const char* path : {"/dev/vda", "/dev/sda", "/dev/nvme0n1", "/dev/loop0", "/dev/ram0"}) {
    UniqueFd device = Opened(path, O_RDONLY);
    if (device.valid()) return device;
  }
  // Root may make one; to open it there need be no device.
  const std::string path = FilePath("block");
  if (mknod(path.c_str(), S_IFBLK | 0600, makedev(1, 0)) != 0) return UniqueFd();
  UniqueFd device = Opened(path.c_str(), O_RDONLY);
  return device.valid() ? std::move(device) : Opened(path.c_str(), O_PATH);
}

void AddFiles(std::vector<Specimen>& all) {
  struct Mode {
    const char* name;
    int flags;
    Rights::Access access;
    bool append;
  };
  for (const Mode& mode :
       {Mode{"read", O_RDONLY, Rights::READ, false},
        Mode{"written", O_WRONLY, Rights::WRITE, false},
        Mode{"read and written", O_RDWR, Rights::READ_WRITE, false},
        Mode{"appended to", O_WRONLY | O_APPEND, Rights::WRITE, true},
        Mode{"read and appended to", O_RDWR | O_APPEND, Rights::READ_WRITE, true},
        Mode{"named", O_PATH, Rights::PATH, false}}) {
    for (const size_t size : {0, 8, 9}) {
      all.push_back({.name = absl::StrCat("file of ", size, " bytes that is ", mode.name),
                     .make = [mode, size] { return File(mode.flags, size); },
                     .kind = Rights::REGULAR_FILE,
                     .access = mode.access,
                     .append = mode.append,
                     .seekable = mode.access != Rights::PATH,
                     .size = size});
    }
  }
}

void AddMemory(std::vector<Specimen>& all) {
  for (unsigned seals = 0; seals < 16; ++seals) {
    all.push_back({.name = absl::StrCat("memfd with seals ", seals),
                   .make = [seals] { return Memfd(seals, 8); },
                   .kind = Rights::MEMFD,
                   .seals = seals,
                   .seekable = true,
                   .size = 8});
  }
  all.push_back({.name = "memfd with F_SEAL_FUTURE_WRITE",
                 .make = [] { return Memfd(F_SEAL_FUTURE_WRITE, 8); },
                 .kind = Rights::MEMFD,
                 .seals = F_SEAL_FUTURE_WRITE,
                 .seekable = true,
                 .size = 8});
  all.push_back({.name = "large memfd that cannot grow",
                 .make = [] { return Memfd(F_SEAL_GROW, 9); },
                 .kind = Rights::MEMFD,
                 .seals = F_SEAL_GROW,
                 .seekable = true,
                 .size = 9});
  all.push_back({.name = "memfd that cannot be sealed",
                 .make = [] { return UniqueFd(memfd_create("specimen", MFD_CLOEXEC)); },
                 .kind = Rights::MEMFD,
                 .seals = F_SEAL_SEAL,
                 .seekable = true});
  // Nothing tells it from such a memfd.
  all.push_back({.name = "file in memory without a name",
                 .make = [] { return Opened("/dev/shm", O_TMPFILE | O_RDWR); },
                 .kind = Rights::MEMFD,
                 .seals = F_SEAL_SEAL,
                 .seekable = true});
  all.push_back({.name = "memfd that is read",
                 .make = [] { return Reopened(Memfd(0, 8), O_RDONLY); },
                 .kind = Rights::MEMFD,
                 .access = Rights::READ,
                 .seekable = true,
                 .size = 8});
  all.push_back({.name = "memfd that is written",
                 .make = [] { return Reopened(Memfd(0, 8), O_WRONLY); },
                 .kind = Rights::MEMFD,
                 .access = Rights::WRITE,
                 .seekable = true,
                 .size = 8});
}

void AddPipesAndDevices(std::vector<Specimen>& all) {
  const auto add = [&all](const char* name, Rights::Kind kind, Rights::Access access,
                          std::function<UniqueFd()> make) {
    all.push_back({.name = name,
                   .make = std::move(make),
                   .kind = kind,
                   .access = access,
                   .seekable = kind == Rights::CHARACTER_DEVICE});
  };
  add("pipe's reading end", Rights::PIPE, Rights::READ, [] { return PipeEnd(0); });
  add("pipe's writing end", Rights::PIPE, Rights::WRITE, [] { return PipeEnd(1); });
  add("FIFO", Rights::PIPE, Rights::READ_WRITE, [] { return Fifo(O_RDWR); });
  add("FIFO that is read", Rights::PIPE, Rights::READ, [] { return Fifo(O_RDONLY | O_NONBLOCK); });
  add("FIFO that is named", Rights::PIPE, Rights::PATH, [] { return Fifo(O_PATH); });
  add("/dev/null that is read", Rights::CHARACTER_DEVICE, Rights::READ,
      [] { return Opened("/dev/null", O_RDONLY); });
  add("/dev/null that is written", Rights::CHARACTER_DEVICE, Rights::WRITE,
      [] { return Opened("/dev/null", O_WRONLY); });
  add("/dev/null", Rights::CHARACTER_DEVICE, Rights::READ_WRITE,
      [] { return Opened("/dev/null", O_RDWR); });
  all.push_back({.name = "terminal",
                 .make = [] { return UniqueFd(posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC)); },
                 .kind = Rights::CHARACTER_DEVICE});
}

void AddSockets(std::vector<Specimen>& all) {
  const auto add = [&all](const char* name, std::optional<Rights::Kind> kind,
                          std::function<UniqueFd()> make) {
    all.push_back({.name = name, .make = std::move(make), .kind = kind});
  };
  add("UNIX stream", Rights::STREAM_SOCKET, [] { return UnixPairEnd(SOCK_STREAM); });
  add("UNIX datagrams", std::nullopt, [] { return UnixPairEnd(SOCK_DGRAM); });
  add("lane", Rights::LANE, [] { return UnixPairEnd(SOCK_SEQPACKET); });
  add("UNIX listener", std::nullopt, [] { return Listening(AF_UNIX, SOCK_STREAM); });
  add("lane's listener", std::nullopt, [] { return Listening(AF_UNIX, SOCK_SEQPACKET); });
  add("TCP", Rights::STREAM_SOCKET, [] { return Socket(AF_INET, SOCK_STREAM); });
  add("TCP over IPv6", Rights::STREAM_SOCKET, [] { return Socket(AF_INET6, SOCK_STREAM); });
  add("TCP listener", Rights::LISTENING_SOCKET, [] { return Listening(AF_INET, SOCK_STREAM); });
  add("UDP", std::nullopt, [] { return Socket(AF_INET, SOCK_DGRAM); });
  add("raw IP", std::nullopt, [] { return Socket(AF_INET, SOCK_RAW, IPPROTO_ICMP); });
  add("packets of a link", std::nullopt, [] { return Socket(AF_PACKET, SOCK_RAW); });
  add("netlink", std::nullopt, [] { return Socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE); });
  add("kernel cryptography", std::nullopt, [] { return Socket(AF_ALG, SOCK_SEQPACKET); });
  add("virtual machine stream", Rights::STREAM_SOCKET,
      [] { return Socket(AF_VSOCK, SOCK_STREAM); });
}

// What nothing can declare.
void AddOthers(std::vector<Specimen>& all) {
  const auto add = [&all](const char* name, std::function<UniqueFd()> make) {
    all.push_back({.name = name, .make = std::move(make), .kind = std::nullopt});
  };
  add("directory", [] { return Opened("/", O_RDONLY | O_DIRECTORY); });
  add("directory that is named", [] { return Opened("/", O_PATH | O_DIRECTORY); });
  add("symlink that is named", [] { return Opened("/proc/self", O_PATH | O_NOFOLLOW); });
  add("socket that is named", [] {
    const UniqueFd listener(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    return Opened(absl::StrCat("/proc/self/fd/", listener.get()).c_str(), O_PATH);
  });
  add("block device", BlockDevice);
  add("epoll", [] { return UniqueFd(epoll_create1(EPOLL_CLOEXEC)); });
  add("eventfd", [] { return UniqueFd(eventfd(0, EFD_CLOEXEC)); });
  add("timerfd", [] { return UniqueFd(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC)); });
  add("signalfd", [] {
    sigset_t none;
    sigemptyset(&none);
    return UniqueFd(signalfd(-1, &none, SFD_CLOEXEC));
  });
  add("inotify", [] { return UniqueFd(inotify_init1(IN_CLOEXEC)); });
  add("fanotify", [] { return UniqueFd(fanotify_init(FAN_CLASS_NOTIF | FAN_CLOEXEC, O_RDONLY)); });
  add("userfaultfd", [] {
    return UniqueFd(static_cast<int>(syscall(SYS_userfaultfd, O_CLOEXEC | UFFD_USER_MODE_ONLY)));
  });
  add("perf event", Perf);
  add("seccomp listener", SeccompListener);
  add("network namespace", [] { return Opened("/proc/self/ns/net", O_RDONLY); });
  add("user namespace", [] { return Opened("/proc/self/ns/user", O_RDONLY); });
}

}  // namespace

bool IsDeclared(const Specimen& specimen, const Rights& rights, bool reduced) {
  if (!specimen.kind.has_value()) return false;
  const bool path = specimen.access == Rights::PATH;
  // An O_PATH descriptor of a memfd cannot be told from one of a file; there is none here.
  if (std::find(rights.kinds().begin(), rights.kinds().end(), *specimen.kind) ==
      rights.kinds().end()) {
    return false;
  }
  Rights::Access access = specimen.access;
  bool append = specimen.append;
  if (rights.reduced() && reduced && !path) {
    if (access == Rights::READ_WRITE) {
      access = rights.access();
      append = rights.append_only();
    } else if (access == rights.access()) {
      append = append || rights.append_only();
    }
  }
  const bool any_access =
      rights.access() == Rights::ACCESS_UNSPECIFIED || rights.access() == Rights::NO_ACCESS;
  if (any_access ? path : access != rights.access()) return false;
  if (rights.append_only() && !append) return false;
  if ((rights.seals() & ~specimen.seals) != 0) return false;
  if (rights.seekable() && !specimen.seekable) return false;
  return rights.max_size() == 0 || specimen.size <= rights.max_size();
}

std::vector<Specimen> Specimens() {
  std::vector<Specimen> all;
  AddFiles(all);
  AddMemory(all);
  AddPipesAndDevices(all);
  AddSockets(all);
  all.push_back(
      {.name = "pidfd",
       .make = [] { return UniqueFd(static_cast<int>(syscall(SYS_pidfd_open, getpid(), 0))); },
       .kind = Rights::PIDFD});
  AddOthers(all);
  return all;
}

}  // namespace capbroker::testing
