// The empty root and the network that forked workers begin in: what is there, and that the zygote
// comes back to where it was.
#include "sandbox/layers/shared_surroundings.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstddef>
#include <cstring>
#include <fstream>
#include <string>
#include <utility>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "base/pid_fd.h"
#include "base/status_matchers.h"
#include "gtest/gtest.h"
#include "sandbox/layers/identity.h"
#include "sandbox/worker_runner.h"

namespace capbroker::sandbox {
namespace {

// Runs `body` in a child, which is to end with 0.
void InChild(absl::FunctionRef<int()> body) {
  const pid_t child = fork();
  if (child == 0) _exit(body());
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0) << "at line or step " << WEXITSTATUS(status);
}

bool IsSame(const struct stat& a, const struct stat& b) {
  return a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

class SharedSurroundingsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!HasCapability(CAP_SYS_ADMIN) || !HasCapability(CAP_SYS_CHROOT)) {
      GTEST_SKIP() << "needs root's right";
    }
    // A sandbox around the test can have a root in which nobody mounts.
    const absl::Status made = SharedSurroundings::Make().status();
    if (!made.ok()) GTEST_SKIP() << made;
  }
};

TEST_F(SharedSurroundingsTest, HoldOneEmptyRootAlone) {
  InChild([] {
    const auto made = SharedSurroundings::Make();
    if (!made.ok() || !made->Enter().ok()) return 1;
    const absl::StatusOr<Cloned> cloned = CloneProcess({.flags = CLONE_NEWUSER | CLONE_NEWNS});
    if (!cloned.ok()) return 2;
    if (cloned->pid == 0) {
      if (!made->CheckInside().ok()) _exit(3);
      for (const char* gone : {"/etc", "/proc/self", "/tmp", "/dev/null", "/../etc", "/sys"}) {
        if (open(gone, O_PATH) >= 0 || errno != ENOENT) _exit(4);
      }
      if (mkdir("/new", 0700) == 0 || errno != EROFS) _exit(5);
      if (mount(nullptr, "/", nullptr, MS_REMOUNT | MS_BIND, nullptr) == 0) _exit(6);
      if (umount2("/", MNT_DETACH) == 0 && open("/etc", O_PATH) >= 0) _exit(7);
      _exit(0);
    }
    made->Leave();
    const absl::StatusOr<ProcessEnd> end = cloned->process.Wait();
    return end.ok() ? end->exit_code : 8;
  });
}

bool SeeWhere(struct stat* seen) {
  return stat("/", &seen[0]) == 0 && stat(".", &seen[1]) == 0 &&
         stat("/proc/self/ns/net", &seen[2]) == 0;
}

bool AreSame(const struct stat* before, const struct stat* after) {
  return IsSame(before[0], after[0]) && IsSame(before[1], after[1]) && IsSame(before[2], after[2]);
}

TEST_F(SharedSurroundingsTest, AreLeftForWhereTheProcessWas) {
  InChild([] {
    struct stat before[3], inside, after[3];
    if (chdir("/usr") != 0 || !SeeWhere(before)) return 1;
    const auto made = SharedSurroundings::Make();
    if (!made.ok() || !SeeWhere(after) || !AreSame(before, after)) return 2;
    if (made->CheckInside().ok()) return 3;
    if (!made->Enter().ok()) return 4;
    if (stat("/", &inside) != 0 || IsSame(inside, before[0])) return 5;
    made->Leave();
    if (!SeeWhere(after) || !AreSame(before, after)) return 6;
    return 0;
  });
}

// A namespace is entered at its root, which is above this process's.
TEST_F(SharedSurroundingsTest, AreRefusedToAProcessInAChroot) {
  InChild([] {
    if (unshare(CLONE_NEWNS) != 0 || mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr)) {
      return 1;
    }
    char place[] = "/tmp/surroundings-XXXXXX";
    if (mkdtemp(place) == nullptr || mount("none", place, "tmpfs", 0, nullptr) != 0) return 2;
    const std::string root = place;
    if (mkdir((root + "/proc").c_str(), 0755) != 0 || mkdir((root + "/here").c_str(), 0755) != 0 ||
        mount("/proc", (root + "/proc").c_str(), nullptr, MS_BIND | MS_REC, nullptr) != 0 ||
        chroot(place) != 0 || chdir("/here") != 0) {
      return 3;
    }
    struct stat before[3], after[3];
    if (!SeeWhere(before)) return 4;
    if (!absl::IsFailedPrecondition(SharedSurroundings::Make().status())) return 5;
    return SeeWhere(after) && AreSame(before, after) ? 0 : 6;
  });
}

sockaddr_un AbstractName(socklen_t& size) {
  sockaddr_un name = {.sun_family = AF_UNIX, .sun_path = {}};
  constexpr char kText[] = "capbroker-surroundings";
  std::memcpy(name.sun_path + 1, kText, sizeof kText);
  size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + sizeof kText);
  return name;
}

// Without the table, which makes no sockets: by the network namespace, or by Landlock where
// workers share that.
TEST(WorkersInCommonSurroundings, ReachNoAbstractSocketOfEachOther) {
  for (const LayerSet off :
       {LayerSet{Layer::kSystemCallTable}, LayerSet{Layer::kSystemCallTable, Layer::kLandlock}}) {
    WorkerRunner runner(off, {});
    if (!runner.sandbox().in_force().Has(Layer::kNetworkNamespace)) GTEST_SKIP();
    RunningWorker listener = runner.Start([] {
      socklen_t size;
      const sockaddr_un name = AbstractName(size);
      const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
      if (bind(fd, reinterpret_cast<const sockaddr*>(&name), size) != 0 || listen(fd, 1) != 0) {
        return 1;
      }
      char byte = 'l';
      (void)!write(kTether, &byte, 1);
      return read(kTether, &byte, 1) == 0 ? 0 : 2;
    });
    char byte;
    ASSERT_EQ(read(listener.tether.get(), &byte, 1), 1);
    const Story story = runner.Run([] {
      socklen_t size;
      const sockaddr_un name = AbstractName(size);
      const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
      return connect(fd, reinterpret_cast<const sockaddr*>(&name), size) == 0 ? 0 : 1;
    });
    EXPECT_EQ(story.exit_code(), 1) << off.ToString() << "\n" << story.text;
    listener.tether.Reset();
    EXPECT_EQ(Collect(std::move(listener)).exit_code(), 0);
  }
}

}  // namespace
}  // namespace capbroker::sandbox
