// What a hostile forked worker tries and is refused. Each attack is a function
// that runs in a worker with every layer that this host has, and the test says
// with which errno it ends. Those that end the worker:
// worker_violations_test.cc.
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "base/unique_fd.h"
#include "gtest/gtest.h"
#include "sandbox/worker_runner.h"

namespace capbroker::sandbox {
namespace {

constexpr int kReadOnlyFile = 10;
constexpr int kAppendFile = 11;

WorkerRunner& Runner() {
  static WorkerRunner* const runner = new WorkerRunner();
  return *runner;
}

// An attack that fails, and its errno.
struct Failing {
  const char* name;
  int (*attack)();  // returns the errno
  int error;
};

class WorkerAttacksTest : public ::testing::Test {
 protected:
  // Two files: read-only, and append-only with three bytes in it.
  Start WithFiles() {
    char path[] = "/tmp/capbroker-attack-XXXXXX";
    const UniqueFd file(mkostemp(path, O_CLOEXEC));
    EXPECT_EQ(write(file.get(), "abc", 3), 3);
    Start start;
    start.descriptors.push_back({UniqueFd(open(path, O_RDONLY | O_CLOEXEC)), kReadOnlyFile});
    start.descriptors.push_back(
        {UniqueFd(open(path, O_WRONLY | O_APPEND | O_CLOEXEC)), kAppendFile});
    check_.Reset(open(path, O_RDONLY | O_CLOEXEC));
    unlink(path);
    return start;
  }

  std::string FileText() {
    char text[64] = {};
    const ssize_t size = pread(check_.get(), text, sizeof text, 0);
    return std::string(text, size < 0 ? 0 : static_cast<size_t>(size));
  }

  void ExpectAllFail(const std::vector<Failing>& attacks) {
    for (const Failing& attack : attacks) {
      const Story story = Runner().Run([&] { return attack.attack(); }, WithFiles());
      EXPECT_EQ(story.exit_code(), attack.error) << attack.name << "\n" << story.text;
      EXPECT_FALSE(story.violation.has_value()) << attack.name << "\n" << story.text;
    }
  }

  UniqueFd check_;
};

TEST_F(WorkerAttacksTest, CannotOpenAnythingByName) {
  ExpectAllFail({
      {"open", [] { return TrySystemCall("open", "/etc/passwd", O_RDONLY); }, EACCES},
      {"openat", [] { return TrySystemCall("openat", AT_FDCWD, "/etc/passwd", O_RDONLY); }, EACCES},
      {"openat absolute", [] { return TrySystemCall("openat", kReadOnlyFile, "/", O_PATH); },
       EACCES},
      {"openat2", [] { return TrySystemCall("openat2", AT_FDCWD, "/etc/passwd", nullptr, 24); },
       ENOSYS},
      {"creat", [] { return TrySystemCall("creat", "/tmp/x", 0600); }, EACCES},
      {"tmpfile", [] { return TrySystemCall("openat", AT_FDCWD, "/", O_TMPFILE | O_RDWR, 0600); },
       EACCES},
      {"proc mem", [] { return TrySystemCall("open", "/proc/self/mem", O_RDWR); }, EACCES},
      {"proc fd", [] { return TrySystemCall("open", "/proc/self/fd/3", O_RDWR); }, EACCES},
      {"dev", [] { return TrySystemCall("open", "/dev/shm/x", O_CREAT | O_RDWR, 0600); }, EACCES},
  });
}

TEST_F(WorkerAttacksTest, CannotLookAtAnythingByName) {
  ExpectAllFail({
      {"stat", [] { return TrySystemCall("stat", "/etc/passwd", nullptr); }, EACCES},
      {"lstat", [] { return TrySystemCall("lstat", "/etc/passwd", nullptr); }, EACCES},
      {"newfstatat",
       [] { return TrySystemCall("newfstatat", AT_FDCWD, "/etc/passwd", nullptr, 0); }, EACCES},
      {"statx", [] { return TrySystemCall("statx", AT_FDCWD, "/etc/passwd", 0, 0, nullptr); },
       ENOSYS},
      {"access", [] { return TrySystemCall("access", "/etc/passwd", R_OK); }, EACCES},
      {"faccessat2", [] { return TrySystemCall("faccessat2", AT_FDCWD, "/etc", R_OK, 0); }, EACCES},
      {"readlink", [] { return TrySystemCall("readlink", "/proc/self/exe", nullptr, 0); }, EACCES},
      {"statfs", [] { return TrySystemCall("statfs", "/", nullptr); }, EACCES},
      {"chdir", [] { return TrySystemCall("chdir", "/tmp"); }, EACCES},
      {"getdents", [] { return TrySystemCall("getdents64", 0, nullptr, 0); }, EACCES},
      {"inotify", [] { return TrySystemCall("inotify_init1", 0); }, EACCES},
      {"getxattr", [] { return TrySystemCall("getxattr", "/", "x", nullptr, 0); }, EACCES},
  });
}

// AT_EMPTY_PATH does not stop the kernel from following a path that is not
// empty.
TEST_F(WorkerAttacksTest, FindsNothingThroughFstatatWithAPath) {
  struct stat status;
  const Story story = Runner().Run(
      [&] { return fstatat(0, "/etc/passwd", &status, AT_EMPTY_PATH) == 0 ? 0 : errno; });
  EXPECT_TRUE(story.exit_code() == ENOENT || story.exit_code() == EACCES) << story.text;
}

TEST_F(WorkerAttacksTest, CannotChangeTheTree) {
  ExpectAllFail({
      {"mkdir", [] { return TrySystemCall("mkdir", "/x", 0700); }, EACCES},
      {"unlink", [] { return TrySystemCall("unlink", "/etc/passwd"); }, EACCES},
      {"rename", [] { return TrySystemCall("rename", "/a", "/b"); }, EACCES},
      {"link", [] { return TrySystemCall("link", "/a", "/b"); }, EACCES},
      {"linkat",
       [] { return TrySystemCall("linkat", kReadOnlyFile, "", AT_FDCWD, "/b", AT_EMPTY_PATH); },
       EACCES},
      {"symlink", [] { return TrySystemCall("symlink", "/a", "/b"); }, EACCES},
      {"mknod", [] { return TrySystemCall("mknod", "/a", S_IFCHR, 0); }, EACCES},
      {"chmod", [] { return TrySystemCall("chmod", "/", 0777); }, EACCES},
      {"truncate", [] { return TrySystemCall("truncate", "/etc/passwd", 0); }, EACCES},
  });
}

TEST_F(WorkerAttacksTest, CannotMakeOrNameSockets) {
  ExpectAllFail({
      {"socket inet", [] { return TrySystemCall("socket", AF_INET, SOCK_STREAM, 0); }, EACCES},
      {"socket unix", [] { return TrySystemCall("socket", AF_UNIX, SOCK_STREAM, 0); }, EACCES},
      {"socket netlink", [] { return TrySystemCall("socket", AF_NETLINK, SOCK_RAW, 0); }, EACCES},
      {"socketpair", [] { return TrySystemCall("socketpair", AF_UNIX, SOCK_DGRAM, 0, nullptr); },
       EACCES},
      {"connect", [] { return TrySystemCall("connect", kTether, nullptr, 0); }, EACCES},
      {"bind", [] { return TrySystemCall("bind", kTether, nullptr, 0); }, EACCES},
      {"listen", [] { return TrySystemCall("listen", kTether, 1); }, EACCES},
      {"accept", [] { return TrySystemCall("accept4", kTether, nullptr, nullptr, 0); }, EACCES},
      {"abstract name",
       [] {
         sockaddr_un name = {.sun_family = AF_UNIX, .sun_path = "\0bus"};
         return TrySystemCall("sendto", kTether, "x", 1, 0, &name, sizeof name);
       },
       EACCES},
      {"out of band", [] { return TrySystemCall("sendto", kTether, "x", 1, MSG_OOB, nullptr, 0); },
       EACCES},
      {"buffer",
       [] {
         const int size = 8 << 20;
         return TrySystemCall("setsockopt", kTether, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
       },
       ENOPROTOOPT},
      {"peer's pidfd",
       [] {
         int fd;
         socklen_t size = sizeof fd;
         return TrySystemCall("getsockopt", kTether, SOL_SOCKET, 77, &fd, &size);
       },
       ENOPROTOOPT},
  });
}

TEST_F(WorkerAttacksTest, CannotMakeProcesses) {
  ExpectAllFail({
      {"fork", [] { return TrySystemCall("fork"); }, EPERM},
      {"vfork", [] { return TrySystemCall("vfork"); }, EPERM},
      {"clone", [] { return TrySystemCall("clone", SIGCHLD, nullptr, nullptr, nullptr, 0); },
       EPERM},
      {"clone3", [] { return TrySystemCall("clone3", nullptr, 88); }, ENOSYS},
      {"execve", [] { return TrySystemCall("execve", "/bin/sh", nullptr, nullptr); }, EACCES},
      {"execveat",
       [] { return TrySystemCall("execveat", kReadOnlyFile, "", nullptr, nullptr, AT_EMPTY_PATH); },
       EACCES},
  });
}

TEST_F(WorkerAttacksTest, CannotReachOtherProcesses) {
  ExpectAllFail({
      {"kill init", [] { return TrySystemCall("kill", getppid(), SIGKILL); }, EPERM},
      {"kill group", [] { return TrySystemCall("kill", 0, SIGKILL); }, EPERM},
      {"kill all", [] { return TrySystemCall("kill", -1, SIGKILL); }, EPERM},
      {"tgkill", [] { return TrySystemCall("tgkill", getppid(), getppid(), SIGKILL); }, EPERM},
      {"tkill", [] { return TrySystemCall("tkill", getppid(), SIGKILL); }, EPERM},
      {"sigqueue", [] { return TrySystemCall("rt_sigqueueinfo", getppid(), SIGKILL, nullptr); },
       EPERM},
      {"pidfd", [] { return TrySystemCall("pidfd_open", getppid(), 0); }, ENOSYS},
      {"pidfd signal", [] { return TrySystemCall("pidfd_send_signal", 0, SIGKILL, nullptr, 0); },
       EPERM},
      {"limits",
       [] {
         const rlimit limit = {0, 0};
         return TrySystemCall("prlimit64", getppid(), RLIMIT_NOFILE, &limit, nullptr);
       },
       EPERM},
      {"own limits",
       [] {
         const rlimit limit = {1, 1};
         return TrySystemCall("prlimit64", 0, RLIMIT_FSIZE, &limit, nullptr);
       },
       EPERM},
      {"more descriptors",
       [] {
         const rlimit limit = {5000, 5000};
         return TrySystemCall("prlimit64", 0, RLIMIT_NOFILE, &limit, nullptr);
       },
       EPERM},
      {"affinity", [] { return TrySystemCall("sched_setaffinity", 1, 8, "\1\0\0\0\0\0\0"); },
       EPERM},
      {"death signal", [] { return TrySystemCall("prctl", PR_SET_PDEATHSIG, 0, 0, 0, 0); }, EPERM},
      {"owner", [] { return TrySystemCall("fcntl", kTether, F_SETOWN, getppid()); }, EPERM},
  });
}

TEST_F(WorkerAttacksTest, CannotMakeCode) {
  ExpectAllFail({
      {"write and execute",
       [] { return TrySystemCall("mmap", nullptr, 4096, 7, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0); },
       EPERM},
      {"execute a file",
       [] {
         return TrySystemCall("mmap", nullptr, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, 10, 0);
       },
       EPERM},
      {"mprotect",
       [] {
         void* page = mmap(nullptr, 4096, 3, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
         return TrySystemCall("mprotect", page, 4096, PROT_READ | PROT_EXEC);
       },
       EACCES},
      {"pkey_mprotect", [] { return TrySystemCall("pkey_mprotect", nullptr, 4096, 7, -1); },
       ENOSYS},
      {"memfd", [] { return TrySystemCall("memfd_create", "x", 0x10 /* MFD_EXEC */); }, EPERM},
      {"shm", [] { return TrySystemCall("shmget", 0, 4096, 0600); }, ENOSYS},
      {"remap", [] { return TrySystemCall("remap_file_pages", 0, 4096, 0, 0, 0); }, ENOSYS},
  });
}

TEST_F(WorkerAttacksTest, CannotWidenTheRightsOfADescriptor) {
  ExpectAllFail({
      {"fchmod", [] { return TrySystemCall("fchmod", kReadOnlyFile, 0777); }, EPERM},
      {"fchown", [] { return TrySystemCall("fchown", kReadOnlyFile, 0, 0); }, EPERM},
      {"futimens", [] { return TrySystemCall("utimensat", kReadOnlyFile, nullptr, nullptr, 0); },
       EPERM},
      {"fsetxattr", [] { return TrySystemCall("fsetxattr", kReadOnlyFile, "user.x", "x", 1, 0); },
       EPERM},
      {"flock", [] { return TrySystemCall("flock", kReadOnlyFile, 2); }, EPERM},
      {"write", [] { return TrySystemCall("write", kReadOnlyFile, "x", 1); }, EBADF},
      {"reopen", [] { return TrySystemCall("open", "/proc/self/fd/10", O_RDWR); }, EACCES},
      {"attributes", [] { return TrySystemCall("ioctl", kReadOnlyFile, 0x40086602, nullptr); },
       ENOTTY},
      {"terminal input", [] { return TrySystemCall("ioctl", 0, TIOCSTI, "x"); }, ENOTTY},
      {"terminal input, upper bits",
       [] { return TrySystemCall("ioctl", 0, 0x100000000UL | TIOCSTI, "x"); }, ENOTTY},
      {"truncate", [] { return TrySystemCall("ftruncate", kAppendFile, 0); }, EPERM},
      {"punch", [] { return TrySystemCall("fallocate", kAppendFile, 3, 0, 3); }, EPERM},
      {"pwritev2", [] { return TrySystemCall("pwritev2", kAppendFile, nullptr, 0, 0, 0, 0x20); },
       ENOSYS},
      {"append flag", [] { return TrySystemCall("fcntl", kAppendFile, F_SETFL, O_WRONLY); }, EPERM},
  });
}

TEST_F(WorkerAttacksTest, CannotWriteIntoTheMiddleOfAnAppendOnlyFile) {
  const Story story = Runner().Run(
      [] {
        // Answered with success, for gRPC's sake, and not done.
        if (fcntl(kAppendFile, F_SETFL, O_WRONLY | O_NONBLOCK) != 0) return 1;
        if ((fcntl(kAppendFile, F_GETFL) & O_APPEND) == 0) return 2;
        if (lseek(kAppendFile, 0, SEEK_SET) != 0) return 3;
        return pwrite(kAppendFile, "X", 1, 0) == 1 && write(kAppendFile, "Y", 1) == 1 ? 0 : 4;
      },
      WithFiles());
  EXPECT_EQ(story.exit_code(), 0) << story.text;
  EXPECT_EQ(FileText(), "abcXY");
}

// Nothing that the init holds is within reach: no descriptor of it leaks into
// the worker.
TEST_F(WorkerAttacksTest, HoldsNoListenerAndNoReportSocket) {
  const Story story = Runner().Run([] {
    for (int fd = 0; fd < 4096; ++fd) {
      if (fd <= kTether || fcntl(fd, F_GETFD) < 0) continue;
      return fd;
    }
    return 0;
  });
  EXPECT_EQ(story.exit_code(), 0) << story.text;
}

TEST_F(WorkerAttacksTest, CannotMakeMoreThreadsThanItsBound) {
  const LayerSet layers = Runner().sandbox().in_force();
  if (!layers.Has(Layer::kUserNamespace) && !layers.Has(Layer::kUnprivilegedUid)) {
    GTEST_SKIP() << "the kernel counts per user";
  }
  if (getuid() == 0 && !layers.Has(Layer::kUnprivilegedUid)) {
    GTEST_SKIP() << "the kernel does not count root's";
  }
  Start start;
  start.bounds.threads = 32;
  const Story story = Runner().Run(
      [] {
        pthread_attr_t attributes;
        pthread_attr_init(&attributes);
        pthread_attr_setstacksize(&attributes, 64 << 10);
        int count = 0;
        pthread_t thread;
        while (count < 200 && pthread_create(
                                  &thread, &attributes,
                                  [](void*) -> void* {
                                    for (;;) pause();
                                  },
                                  nullptr) == 0) {
          ++count;
        }
        _exit(count);
        return 0;
      },
      std::move(start));
  EXPECT_LE(story.exit_code(), 32) << story.text;
  EXPECT_GE(story.exit_code(), 20) << story.text;
}

}  // namespace
}  // namespace capbroker::sandbox
