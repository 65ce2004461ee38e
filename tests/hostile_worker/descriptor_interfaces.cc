#include <fcntl.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <poll.h>
#include <stdint.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <termios.h>
#include <unistd.h>

#include "tests/hostile_worker/interface_probes.h"

namespace capbroker::hostile {
namespace {

// Newer than the headers that this may be built with.
constexpr int kSoPeerPidFd = 77, kSoCookie = 57, kSoMemoryInfo = 55, kSoPeerGroups = 59;

// An option of the socket at 2.
std::string OptionOf(int level, int option) {
  char value[256];
  socklen_t size = sizeof value;
  return Result(getsockopt(2, level, option, value, &size));
}

}  // namespace

std::vector<Attack> DescriptorInterfaces() {
  return {
      Interface("process of a peer",
                [](const Scene& scene) {
                  ucred peer = {};
                  socklen_t size = sizeof peer;
                  const int result = getsockopt(2, SOL_SOCKET, SO_PEERCRED, &peer, &size);
                  return Within(result == 0 && peer.pid == scene.application);
                }),
      Interface("descriptor of a peer's process",
                [](const Scene&) { return OptionOf(SOL_SOCKET, kSoPeerPidFd); }),
      Interface("groups of a peer",
                [](const Scene&) { return OptionOf(SOL_SOCKET, kSoPeerGroups); }),
      Interface("security label of a peer",
                [](const Scene&) { return OptionOf(SOL_SOCKET, SO_PEERSEC); }),
      Interface("identity of a socket",
                [](const Scene&) { return OptionOf(SOL_SOCKET, kSoCookie); }),
      Interface("memory of a socket",
                [](const Scene&) { return OptionOf(SOL_SOCKET, kSoMemoryInfo); }),
      Interface("time stamps of a socket",
                [](const Scene&) {
                  const int on = 1;
                  return Result(setsockopt(2, SOL_SOCKET, SO_TIMESTAMP, &on, sizeof on));
                }),
      Interface("credentials in messages",
                [](const Scene&) {
                  const int on = 1;
                  return Result(setsockopt(2, SOL_SOCKET, SO_PASSCRED, &on, sizeof on));
                }),
      Interface("buffers of a socket",
                [](const Scene&) {
                  const int size = 1 << 16;
                  return Result(setsockopt(2, SOL_SOCKET, SO_SNDBUF, &size, sizeof size));
                }),
      Interface("statistics of a TCP connection",
                [](const Scene&) {
                  char info[200];
                  socklen_t size = sizeof info;
                  return Result(getsockopt(TakeSmuggled().tcp, 6, 11, info, &size));
                }),
      Interface("congestion control of a TCP connection",
                [](const Scene&) {
                  char name[16];
                  socklen_t size = sizeof name;
                  return Result(getsockopt(TakeSmuggled().tcp, 6, 13, name, &size));
                }),
      Interface("options of IP",
                [](const Scene&) {
                  const int service = 8;
                  return Result(setsockopt(TakeSmuggled().tcp, 0, 1, &service, sizeof service));
                }),
      Interface("asynchronous reading",
                [](const Scene&) { return Result(syscall(SYS_readahead, 0, 0, 1)); }),
      Interface(
          "plans of reading",
          [](const Scene&) { return Within(posix_fadvise(0, 0, 1, POSIX_FADV_WILLNEED) == 0); }),
      Interface("writing a range back",
                [](const Scene&) { return Result(syscall(SYS_sync_file_range, 0, 0, 1, 2)); }),
      Interface("writing everything back",
                [](const Scene&) { return Result(syscall(SYS_syncfs, 0)); }),
      Interface("vectors with flags",
                [](const Scene&) {
                  char byte;
                  iovec part = {&byte, 1};
                  return Result(syscall(SYS_preadv2, 0, &part, 1, 0, 0, 0));
                }),
      Interface("locks of a file", [](const Scene&) { return Result(flock(0, LOCK_SH)); }),
      Interface("locks of a range",
                [](const Scene&) {
                  struct flock range = {};
                  range.l_type = F_RDLCK;
                  return Result(fcntl(0, F_SETLK, &range));
                }),
      Interface("size of a pipe",
                [](const Scene&) { return Result(fcntl(TakeSmuggled().pipe, F_GETPIPE_SZ)); }),
      Interface("queue of a terminal",
                [](const Scene&) {
                  int bytes;
                  return Result(ioctl(TakeSmuggled().terminal, TIOCOUTQ, &bytes));
                }),
      Interface("size of a terminal",
                [](const Scene&) {
                  winsize size;
                  return Result(ioctl(TakeSmuggled().terminal, TIOCGWINSZ, &size));
                }),
      Interface("settings of a terminal",
                [](const Scene&) {
                  termios settings;
                  return Result(tcgetattr(TakeSmuggled().terminal, &settings));
                }),
      Interface("name of a terminal",
                [](const Scene&) {
                  unsigned number;
                  return Result(ioctl(TakeSmuggled().terminal, TIOCGDEV, &number));
                }),
      Interface("owner of a descriptor", [](const Scene&) { return Result(fcntl(2, F_GETOWN)); }),
      Interface("signal of a descriptor",
                [](const Scene&) { return Result(fcntl(2, F_SETSIG, 0)); }),
      Interface("leases", [](const Scene&) { return Result(fcntl(0, F_GETLEASE)); }),
      Interface("hints of a file",
                [](const Scene&) {
                  uint64_t hint;
                  return Result(fcntl(0, F_GET_RW_HINT, &hint));
                }),
      Interface("size of a file's blocks",
                [](const Scene&) {
                  int size;
                  return Result(ioctl(0, FIGETBSZ, &size));
                }),
      Interface("extents of a file",
                [](const Scene&) {
                  fiemap map = {};
                  map.fm_length = 1;
                  return Result(ioctl(0, FS_IOC_FIEMAP, &map));
                }),
      Interface("flags of a file",
                [](const Scene&) {
                  int flags;
                  return Result(ioctl(0, FS_IOC_GETFLAGS, &flags));
                }),
      Interface("file system of a descriptor",
                [](const Scene&) {
                  char status[200];
                  return Result(syscall(SYS_fstatfs, 0, status));
                }),
      Interface("attributes of a descriptor",
                [](const Scene&) { return Result(syscall(SYS_flistxattr, 0, nullptr, 0)); }),
      Interface("handle of a file",
                [](const Scene&) {
                  struct {
                    file_handle head = {};
                    char room[128] = {};
                  } handle;
                  handle.head.handle_bytes = sizeof handle.room;
                  int mount;
                  return Result(syscall(SYS_name_to_handle_at, 0, "", &handle, &mount, 0x1000));
                }),
      Interface("names in a directory",
                [](const Scene&) {
                  char names[1024];
                  return Result(
                      syscall(SYS_getdents64, TakeSmuggled().directory, names, sizeof names));
                }),
      Interface(
          "comparing descriptors",
          [](const Scene&) { return Result(syscall(SYS_kcmp, getpid(), getpid(), 0, 0, 1)); }),
  };
}

}  // namespace capbroker::hostile
