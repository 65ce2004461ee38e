// Each layer by itself: what still holds when the others are switched off, and
// that a start does without each of them.
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <cstring>
#include <string>

#include "base/unique_fd.h"
#include "gtest/gtest.h"
#include "sandbox/host_facts.h"
#include "sandbox/layers/identity.h"
#include "sandbox/worker_runner.h"

namespace capbroker::sandbox {
namespace {

constexpr LayerSet kSwitchable = LayerSet::All().Without(kAlwaysInForce);

// Only the stated layers, of those that can be switched off.
LayerSet AllBut(LayerSet kept) { return kSwitchable.Without(kept); }

LayerSet Offered() {
  static const LayerSet offered = ProbeHost().offered;
  return offered;
}

class WithoutEachLayer : public ::testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(Layers, WithoutEachLayer, ::testing::Range(0, kLayerCount),
                         [](const auto& info) {
                           std::string name(LayerName(static_cast<Layer>(info.param)));
                           for (char& c : name) c = c == ' ' ? '_' : c;
                           return name;
                         });

TEST_P(WithoutEachLayer, StartsAndSaysSo) {
  const Layer layer = static_cast<Layer>(GetParam());
  if (kAlwaysInForce.Has(layer)) return;
  WorkerRunner runner({layer}, {});
  const Story story = runner.Run([] { return 7; });
  EXPECT_EQ(story.exit_code(), 7) << story.text;
  ASSERT_TRUE(story.started.has_value());
  EXPECT_FALSE(story.started->layer_set().Has(layer));
  EXPECT_TRUE(story.started->layer_set().HasAll(kAlwaysInForce));
}

TEST_P(WithoutEachLayer, StillKillsTheAttackerUnlessTheTableIsOff) {
  const Layer layer = static_cast<Layer>(GetParam());
  if (kAlwaysInForce.Has(layer) || layer == Layer::kSystemCallTable) return;
  WorkerRunner runner({layer}, {});
  const Story story = runner.Run([] {
    ptrace(PTRACE_TRACEME, 0, nullptr, nullptr);
    return 99;
  });
  EXPECT_EQ(story.violation.has_value(), runner.sandbox().in_force().Has(Layer::kViolationReports));
  EXPECT_EQ(story.signal(), story.violation ? SIGKILL : SIGSYS) << story.text;
}

TEST(LayerByItself, TheTableNeedsNoOtherLayer) {
  if (!Offered().HasAll({Layer::kSystemCallTable})) GTEST_SKIP() << Offered().ToString();
  WorkerRunner runner(AllBut({Layer::kSystemCallTable}));
  const Story story = runner.Run([] { return open("/etc/passwd", O_RDONLY) < 0 ? errno : 0; });
  EXPECT_EQ(story.exit_code(), EACCES) << story.text;
}

TEST(LayerByItself, TheTableLetsFstatSeeDescriptorsAndNoPaths) {
  if (!Offered().HasAll({Layer::kSystemCallTable})) GTEST_SKIP() << Offered().ToString();
  WorkerRunner runner(AllBut({Layer::kSystemCallTable}));
  const Story story = runner.Run([] {
    struct stat status;
    if (fstat(kTether, &status) != 0 || !S_ISSOCK(status.st_mode)) return 1;
    errno = 0;
    if (fstat(77, &status) == 0 || errno != EBADF) return 2;
    if (fstatat(0, "/etc/passwd", &status, AT_EMPTY_PATH) == 0 || errno != EACCES) return 3;
    if (fstatat(0, "/etc/passwd", &status, 0) == 0 || errno != EACCES) return 4;
    // The answer is the worker's own doing: without it there is no call, not an
    // allowed one.
    signal(SIGSYS, SIG_DFL);
    fstatat(0, "/etc/passwd", &status, AT_EMPTY_PATH);
    return 5;
  });
  EXPECT_EQ(story.signal(), SIGSYS) << story.text << story.exit_code();
}

TEST(LayerByItself, TheEmptyRootHoldsNothing) {
  if (!Offered().HasAll({Layer::kUserNamespace, Layer::kMountNamespace}))
    GTEST_SKIP() << Offered().ToString();
  WorkerRunner runner(AllBut({Layer::kUserNamespace, Layer::kMountNamespace}), {});
  const Story story = runner.Run([] {
    char path[8];
    if (getcwd(path, sizeof path) == nullptr || strcmp(path, "/") != 0) return 1;
    for (const char* gone : {"/etc", "/proc/self", "/tmp", "/dev/null", "/../etc", "/sys"}) {
      if (open(gone, O_PATH) >= 0 || errno != ENOENT) return 2;
    }
    if (mkdir("/new", 0700) == 0 || errno != EROFS) return 3;
    // The host's mounts are gone, not hidden: no unmounting brings them back.
    if (umount2("/", MNT_DETACH) == 0 && open("/etc", O_PATH) >= 0) return 4;
    return 0;
  });
  EXPECT_EQ(story.exit_code(), 0) << story.text;
}

TEST(LayerByItself, LandlockOpensNothing) {
  if (!Offered().HasAll({Layer::kLandlock})) GTEST_SKIP() << Offered().ToString();
  WorkerRunner runner(AllBut({Layer::kLandlock}), {});
  const Story story = runner.Run([] {
    for (const char* path : {"/etc/passwd", "/etc", "/dev/null", "/proc/self/status"}) {
      if (open(path, O_RDONLY) >= 0 || errno != EACCES) return 1;
    }
    if (mkdir("/tmp/capbroker-landlock", 0700) == 0) return 2;
    return 0;
  });
  EXPECT_EQ(story.exit_code(), 0) << story.text;
}

TEST(LayerByItself, LandlockReachesNoProcessOutside) {
  if (!Offered().HasAll({Layer::kLandlock})) GTEST_SKIP() << Offered().ToString();
  if (ProbeHost().landlock_abi < 6) GTEST_SKIP() << "scopes came with ABI 6";
  WorkerRunner runner(AllBut({Layer::kLandlock}), {});
  const pid_t self = getpid();
  const Story story = runner.Run([self] {
    if (kill(self, 0) == 0 || errno != EPERM) return 1;
    if (kill(getppid(), SIGKILL) == 0 || errno != EPERM) return 2;
    if (ptrace(PTRACE_ATTACH, getppid(), nullptr, nullptr) == 0) return 3;
    return 0;
  });
  EXPECT_EQ(story.exit_code(), 0) << story.text;
}

TEST(LayerByItself, LandlockConnectsToNoAbstractSocketOutside) {
  if (!Offered().HasAll({Layer::kLandlock})) GTEST_SKIP() << Offered().ToString();
  if (ProbeHost().landlock_abi < 6) GTEST_SKIP() << "scopes came with ABI 6";
  sockaddr_un name = {.sun_family = AF_UNIX, .sun_path = {}};
  const UniqueFd listener(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  // Without a name it gets an abstract one that nobody else has.
  ASSERT_EQ(bind(listener.get(), reinterpret_cast<sockaddr*>(&name), sizeof name.sun_family), 0);
  socklen_t size = sizeof name;
  ASSERT_EQ(getsockname(listener.get(), reinterpret_cast<sockaddr*>(&name), &size), 0);
  ASSERT_EQ(listen(listener.get(), 1), 0);
  WorkerRunner runner(AllBut({Layer::kLandlock}), {});
  const Story story = runner.Run([&] {
    const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    return connect(fd, reinterpret_cast<const sockaddr*>(&name), size) == 0 ? 0 : errno;
  });
  EXPECT_EQ(story.exit_code(), EPERM) << story.text;
}

TEST(LayerByItself, ThePidNamespaceHasOnlyInitAndWorker) {
  if (!Offered().HasAll({Layer::kUserNamespace, Layer::kPidNamespace}))
    GTEST_SKIP() << Offered().ToString();
  WorkerRunner runner(AllBut({Layer::kUserNamespace, Layer::kPidNamespace}), {});
  const Story story = runner.Run([] {
    if (getpid() != 2 || getppid() != 1) return 1;
    for (pid_t pid = 3; pid < 70000; ++pid) {
      if (kill(pid, 0) == 0 || errno != ESRCH) return 2;
    }
    kill(1, SIGKILL);  // immune
    kill(-1, SIGKILL);
    return 0;
  });
  EXPECT_EQ(story.exit_code(), 0) << story.text;
}

TEST(LayerByItself, TheNetworkNamespaceHasNoWayOut) {
  if (!Offered().HasAll({Layer::kUserNamespace, Layer::kNetworkNamespace}))
    GTEST_SKIP() << Offered().ToString();
  WorkerRunner runner(AllBut({Layer::kUserNamespace, Layer::kNetworkNamespace}), {});
  const Story story = runner.Run([] {
    const int fd = socket(AF_INET, SOCK_DGRAM, 0);
    if (fd < 0) return 1;
    ifreq request = {};
    strcpy(request.ifr_name, "lo");
    if (ioctl(fd, SIOCGIFFLAGS, &request) != 0) return 2;
    if ((request.ifr_flags & IFF_UP) != 0) return 3;
    request.ifr_flags |= IFF_UP;
    if (ioctl(fd, SIOCSIFFLAGS, &request) == 0) return 4;
    struct if_nameindex* names = if_nameindex();
    for (struct if_nameindex* name = names; name != nullptr && name->if_index != 0; ++name) {
      request = {};
      strcpy(request.ifr_name, name->if_name);
      if (ioctl(fd, SIOCGIFFLAGS, &request) == 0 && (request.ifr_flags & IFF_UP) != 0) return 5;
    }
    return 0;
  });
  EXPECT_EQ(story.exit_code(), 0) << story.text;
}

TEST(LayerByItself, TheIpcNamespaceSharesNoMemory) {
  if (!Offered().HasAll({Layer::kUserNamespace, Layer::kIpcNamespace}))
    GTEST_SKIP() << Offered().ToString();
  const int id = shmget(IPC_PRIVATE, 4096, IPC_CREAT | 0666);
  ASSERT_GE(id, 0);
  WorkerRunner runner(AllBut({Layer::kUserNamespace, Layer::kIpcNamespace}), {});
  const Story story =
      runner.Run([id] { return shmat(id, nullptr, 0) == reinterpret_cast<void*>(-1) ? errno : 0; });
  shmctl(id, IPC_RMID, nullptr);
  EXPECT_EQ(story.exit_code(), EINVAL) << story.text;
}

TEST(LayerByItself, TheUtsNamespaceHidesTheHostsName) {
  if (!Offered().HasAll({Layer::kUserNamespace, Layer::kUtsNamespace}))
    GTEST_SKIP() << Offered().ToString();
  WorkerRunner runner(AllBut({Layer::kUserNamespace, Layer::kUtsNamespace}), {});
  const Story story = runner.Run([] {
    utsname name;
    return uname(&name) == 0 && strcmp(name.nodename, "worker") == 0 ? 0 : 1;
  });
  EXPECT_EQ(story.exit_code(), 0) << story.text;
}

TEST(LayerByItself, TheUnprivilegedUidOpensNoFileOfRoots) {
  if (!Offered().HasAll({Layer::kUnprivilegedUid})) GTEST_SKIP() << Offered().ToString();
  for (const LayerSet kept : {LayerSet{Layer::kUnprivilegedUid},
                              LayerSet{Layer::kUnprivilegedUid, Layer::kUserNamespace}}) {
    WorkerRunner runner(AllBut(kept), {});
    const Story story = runner.Run([] {
      if (open("/etc/shadow", O_RDONLY) >= 0 || errno != EACCES) return 1;
      if (open("/etc/passwd", O_WRONLY) >= 0 || errno != EACCES) return 2;
      if (setuid(0) == 0 || seteuid(0) == 0) return 3;
      return open("/etc/passwd", O_RDONLY) >= 0 ? 0 : 4;  // as anybody's
    });
    EXPECT_EQ(story.exit_code(), 0) << kept.ToString() << "\n" << story.text;
  }
}

// Root's uid without capabilities still owns root's files: the reason for the
// layer above.
TEST(LayerByItself, CapabilitiesAreGoneInEveryCase) {
  for (const LayerSet off : {kSwitchable, LayerSet(), LayerSet{Layer::kUnprivilegedUid},
                             LayerSet{Layer::kUserNamespace, Layer::kUnprivilegedUid}}) {
    WorkerRunner runner(off.Without(LayerSet{Layer::kSystemCallTable}), {});
    const Story story = runner.Run([] {
      for (int capability = 0; capability <= 40; ++capability) {
        // Without rights to lower it the bounding set stays; no_new_privs
        // guards it.
        if (HasCapability(capability)) return 1;
      }
      if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1) return 2;
      if (prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) != 0) return 3;
      return 0;
    });
    EXPECT_EQ(story.exit_code(), 0) << off.ToString() << "\n" << story.text;
  }
}

}  // namespace
}  // namespace capbroker::sandbox
