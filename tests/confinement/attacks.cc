#include "tests/confinement/attacks.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/memfd.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <map>

namespace capbroker::testing {
namespace {

using Argument = const std::string&;

int ErrnoOf(long result) { return result < 0 ? errno : 0; }

int Open(Argument path, int flags) {
  const int fd = open(path.c_str(), flags | O_CLOEXEC, 0600);
  const int error = ErrnoOf(fd);
  if (fd >= 0) close(fd);
  return error;
}

int ConnectTo(int type, int protocol, Argument port) {
  const int fd = socket(AF_INET, type, protocol);
  if (fd < 0) return errno;
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(atoi(port.c_str())));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const int error =
      ErrnoOf(connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address));
  close(fd);
  return error;
}

// "@name" is an abstract one.
// At an address of this host at which nothing else does.
int ListenAt(Argument port) {
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  if (fd < 0) return errno;
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(atoi(port.c_str())));
  address.sin_addr.s_addr = htonl(0x7f000009);
  int error = ErrnoOf(bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address));
  if (error == 0) error = ErrnoOf(listen(fd, 1));
  close(fd);
  return error;
}

int ConnectToLocal(Argument path) {
  const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  if (fd < 0) return errno;
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  memcpy(address.sun_path, path.c_str(), path.size());
  if (path[0] == '@') address.sun_path[0] = '\0';
  const int error =
      ErrnoOf(connect(fd, reinterpret_cast<const sockaddr*>(&address),
                      static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size())));
  close(fd);
  return error;
}

int MapCode(int flags, int fd) {
  return mmap(nullptr, 4096, PROT_READ | PROT_EXEC, flags, fd, 0) == MAP_FAILED ? errno : 0;
}

int MapMemfdAsCode(Argument) {
  const int fd = memfd_create("code", MFD_CLOEXEC);
  if (fd < 0 || ftruncate(fd, 4096) != 0) return errno;
  return MapCode(MAP_PRIVATE, fd);
}

int MakeStackCode(Argument) {
  void* const page =
      mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return ErrnoOf(mprotect(page, 4096, PROT_READ | PROT_EXEC));
}

// The kernel sends a signal of one's choice to who "owns" a descriptor.
int OwnSocketFor(Argument process) {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0) return errno;
  if (fcntl(ends[0], F_SETOWN, atoi(process.c_str())) != 0 ||
      fcntl(ends[0], F_SETSIG, SIGKILL) != 0 || fcntl(ends[0], F_SETFL, O_ASYNC) != 0) {
    return errno;
  }
  return ErrnoOf(write(ends[1], "x", 1));
}

int ReadMemoryOf(Argument process) {
  char byte;
  iovec local = {&byte, 1}, remote = {&byte, 1};
  return ErrnoOf(process_vm_readv(atoi(process.c_str()), &local, 1, &remote, 1, 0));
}

int Execute(Argument path) {
  char* const arguments[] = {const_cast<char*>(path.c_str()), nullptr};
  execv(path.c_str(), arguments);
  return errno;
}

const std::map<std::string, std::function<int(Argument)>>& Attacks() {
  static const auto* const attacks = new std::map<std::string, std::function<int(Argument)>>{
      {"read", [](Argument path) { return Open(path, O_RDONLY); }},
      {"write", [](Argument path) { return Open(path, O_WRONLY); }},
      {"create", [](Argument path) { return Open(path, O_WRONLY | O_CREAT | O_EXCL); }},
      {"unlink", [](Argument path) { return ErrnoOf(unlink(path.c_str())); }},
      {"chmod", [](Argument path) { return ErrnoOf(chmod(path.c_str(), 0777)); }},
      {"execute", &Execute},
      {"fork",
       [](Argument) {
         const pid_t child = fork();
         if (child == 0) _exit(0);
         return ErrnoOf(child);
       }},
      {"tcp", [](Argument port) { return ConnectTo(SOCK_STREAM, 0, port); }},
      {"listen", &ListenAt},
      {"mptcp", [](Argument port) { return ConnectTo(SOCK_STREAM, 262, port); }},
      {"udp", [](Argument port) { return ConnectTo(SOCK_DGRAM, 0, port); }},
      {"raw", [](Argument) { return ErrnoOf(socket(AF_INET, SOCK_RAW, IPPROTO_ICMP)); }},
      {"local", &ConnectToLocal},
      {"kill", [](Argument process) { return ErrnoOf(kill(atoi(process.c_str()), SIGKILL)); }},
      {"own", &OwnSocketFor},
      {"trace",
       [](Argument process) {
         return ErrnoOf(ptrace(PTRACE_ATTACH, atoi(process.c_str()), nullptr, nullptr));
       }},
      {"peek", &ReadMemoryOf},
      {"unshare", [](Argument) { return ErrnoOf(syscall(SYS_unshare, 0x10000000)); }},
      {"bpf", [](Argument) { return ErrnoOf(syscall(SYS_bpf, 0, nullptr, 0)); }},
      {"uring", [](Argument) { return ErrnoOf(syscall(SYS_io_uring_setup, 1, nullptr)); }},
      {"setuid", [](Argument) { return ErrnoOf(setuid(0)); }},
      {"filter", [](Argument) { return ErrnoOf(syscall(SYS_seccomp, 1, 8, nullptr)); }},
      {"map memfd", &MapMemfdAsCode},
      {"make code", &MakeStackCode},
      {"x32", [](Argument) { return ErrnoOf(syscall(SYS_getpid | 0x40000000)); }},
      // Who it is, and what it may.
      {"capabilities",
       [](Argument) {
         __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
         __user_cap_data_struct words[2] = {};
         if (syscall(SYS_capget, &header, words) != 0) return -1;
         return static_cast<int>(words[0].effective | words[0].permitted | words[1].permitted);
       }},
      {"uid", [](Argument) { return static_cast<int>(getuid()); }},
  };
  return *attacks;
}

}  // namespace

int RunAttack(const std::string& line) {
  // The longest name that the line begins with.
  for (auto attack = Attacks().rbegin(); attack != Attacks().rend(); ++attack) {
    const std::string& name = attack->first;
    if (line.compare(0, name.size(), name) != 0) continue;
    if (line.size() > name.size() && line[name.size()] != ' ') continue;
    return attack->second(line.size() > name.size() ? line.substr(name.size() + 1) : "");
  }
  return -1;
}

}  // namespace capbroker::testing
