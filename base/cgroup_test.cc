#include "base/cgroup.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cstddef>
#include <string>
#include <utility>

#include "absl/strings/match.h"
#include "base/cgroup_for_test.h"
#include "base/own_cgroup.h"
#include "base/pid_fd.h"
#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace capbroker {
namespace {

using testing::CgroupForTest;
using testing::StatusIs;

constexpr int kCannotTest = 77;

// A child in `cgroup` that sleeps.
PidFd Sleeper(const Cgroup& cgroup) {
  absl::StatusOr<Cloned> child = CloneProcess({.cgroup = cgroup.directory()});
  if (!child.ok()) return PidFd();
  if (child->pid == 0) {
    while (true) pause();
  }
  return std::move(child->process);
}

// Runs `body` in a child of `cgroup`; its exit code.
template <typename Body>
int RunIn(const Cgroup& cgroup, Body body) {
  absl::StatusOr<Cloned> child = CloneProcess({.cgroup = cgroup.directory()});
  if (!child.ok()) return -1;
  if (child->pid == 0) _exit(body());
  const absl::StatusOr<ProcessEnd> end = child->process.Wait();
  return !end.ok() ? -1 : end->signal != 0 ? 128 + end->signal : end->exit_code;
}

bool EndsWith(const std::string& name) { return absl::EndsWith(OwnCgroupName(), name); }

TEST(CgroupTest, OfAnotherFileSystemIsRefused) {
  EXPECT_THAT(Cgroup::Open("/proc"), StatusIs(absl::StatusCode::kFailedPrecondition));
  EXPECT_THAT(Cgroup::Open("/nowhere"), StatusIs(absl::StatusCode::kNotFound));
}

TEST(CgroupTest, ProcessBeginsInTheOneThatItWasClonedInto) {
  const CgroupForTest place;
  SKIP_WITHOUT_CGROUP(place);
  ASSERT_OK_AND_ASSIGN(const Cgroup child, place.cgroup().MakeChild("a"));
  EXPECT_EQ(RunIn(child, [] { return EndsWith("/a") ? 0 : 1; }), 0);
}

// As in a container whose filter cannot see the flags of clone3.
TEST(CgroupTest, ProcessBeginsThereWithoutClone3) {
  const CgroupForTest place;
  SKIP_WITHOUT_CGROUP(place);
  ASSERT_OK_AND_ASSIGN(const Cgroup child, place.cgroup().MakeChild("a"));
  ASSERT_OK_AND_ASSIGN(Cloned host, CloneProcess({}));
  if (host.pid == 0) {
    sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone3, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const sock_fprog program = {std::size(filter), filter};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) {
      _exit(2);
    }
    _exit(RunIn(child, [] { return EndsWith("/a") ? 0 : 1; }));
  }
  ASSERT_OK_AND_ASSIGN(const ProcessEnd end, host.process.Wait());
  EXPECT_EQ(end.exit_code, 0);
}

TEST(CgroupTest, IsRemovedWithWhatRunsInItAndBeneath) {
  const CgroupForTest place;
  SKIP_WITHOUT_CGROUP(place);
  ASSERT_OK_AND_ASSIGN(const Cgroup outer, place.cgroup().MakeChild("outer"));
  ASSERT_OK_AND_ASSIGN(const Cgroup inner, outer.MakeChild("inner"));
  const PidFd first = Sleeper(outer), second = Sleeper(inner);
  ASSERT_TRUE(first.valid() && second.valid());
  EXPECT_THAT(place.cgroup().MakeChild("outer"), StatusIs(absl::StatusCode::kAlreadyExists));
  ASSERT_OK(place.cgroup().RemoveChild("outer", absl::Seconds(5)));
  EXPECT_THAT(place.cgroup().OpenChild("outer"), StatusIs(absl::StatusCode::kNotFound));
  for (const PidFd* const child : {&first, &second}) {
    ASSERT_OK_AND_ASSIGN(const ProcessEnd end, child->Wait());
    EXPECT_EQ(end.signal, SIGKILL);
  }
  EXPECT_OK(place.cgroup().RemoveChild("outer", absl::ZeroDuration()));
}

TEST(CgroupTest, HasNoControllersForChildrenWhileProcessesAreInIt) {
  const CgroupForTest place;
  SKIP_WITHOUT_CGROUP(place);
  // The rule is not about those that can work between threads.
  std::vector<std::string> one = {"memory"};
  if (!place.Lacks(one).empty()) one = {"hugetlb"};
  SKIP_WITHOUT_CONTROLLERS(place, one.front());
  {
    const PidFd sleeper = Sleeper(place.cgroup());
    EXPECT_THAT(place.cgroup().EnableControllers(one),
                StatusIs(absl::StatusCode::kFailedPrecondition));
    ASSERT_OK(sleeper.Signal(SIGKILL));
    ASSERT_OK(sleeper.Wait());
  }
  ASSERT_OK(place.cgroup().EnableControllers(one));
  ASSERT_OK_AND_ASSIGN(const std::vector<std::string> enabled, place.cgroup().EnabledControllers());
  EXPECT_EQ(enabled, one);
  EXPECT_FALSE(Sleeper(place.cgroup()).valid()) << "no internal processes";
}

// What the kernel's files say is asked in a child, whose own cgroup it is.
int WhyNotDelegated(absl::string_view part) {
  const absl::StatusOr<DelegatedCgroup> found = FindDelegatedCgroup();
  if (found.ok()) return 1;
  return absl::StrContains(found.status().message(), part) ? 0 : 2;
}

TEST(OwnCgroupTest, IsNotDelegatedByBeingWritten) {
  const CgroupForTest place;
  SKIP_WITHOUT_CGROUP(place);
  ASSERT_OK_AND_ASSIGN(const Cgroup child, place.cgroup().MakeChild("a"));
  EXPECT_EQ(RunIn(child, [] { return WhyNotDelegated("nobody says"); }), 0);
}

TEST(OwnCgroupTest, IsDelegatedWhereItsManagerSaysSo) {
  const CgroupForTest place;
  SKIP_WITHOUT_CGROUP(place);
  ASSERT_OK_AND_ASSIGN(const Cgroup child, place.cgroup().MakeChild("a"));
  if (fsetxattr(child.directory().get(), "user.delegate", "1", 1, 0) != 0) {
    GTEST_SKIP() << "no extended attributes";
  }
  EXPECT_EQ(RunIn(child,
                  [&] {
                    const absl::StatusOr<DelegatedCgroup> found = FindDelegatedCgroup();
                    if (!found.ok()) return 1;
                    return found->path == place.path() + "/a" && !found->divided ? 0 : 2;
                  }),
            0);
  // Its parent, for an application that has left it.
  ASSERT_OK_AND_ASSIGN(const Cgroup left, child.MakeChild(kApplicationCgroup));
  EXPECT_EQ(RunIn(left,
                  [&] {
                    const absl::StatusOr<DelegatedCgroup> found = FindDelegatedCgroup();
                    if (!found.ok()) return 1;
                    return found->path == place.path() + "/a" && found->divided ? 0 : 2;
                  }),
            0);
}

TEST(OwnCgroupTest, OfAnotherUserIsNotDelegated) {
  const CgroupForTest place;
  SKIP_WITHOUT_CGROUP(place);
  ASSERT_OK_AND_ASSIGN(const Cgroup child, place.cgroup().MakeChild("a"));
  const int result = RunIn(child, [] {
    if (setresuid(12345, 12345, 12345) != 0) return kCannotTest;
    return WhyNotDelegated("cannot be written");
  });
  if (result == kCannotTest) GTEST_SKIP() << "there is no other user here";
  EXPECT_EQ(result, 0);
}

// An ordinary user's whose parent is root's.
TEST(OwnCgroupTest, IsDelegatedByItsOwner) {
  const CgroupForTest place;
  SKIP_WITHOUT_CGROUP(place);
  constexpr uid_t kUser = 12345;
  ASSERT_OK_AND_ASSIGN(const Cgroup child, place.cgroup().MakeChild("a"));
  for (const char* const file : {".", "cgroup.procs", "cgroup.subtree_control"}) {
    if (fchownat(child.directory().get(), file, kUser, kUser, 0) != 0) {
      GTEST_SKIP() << "needs root";
    }
  }
  EXPECT_EQ(RunIn(child,
                  [] {
                    if (setresuid(kUser, kUser, kUser) != 0) return 3;
                    return FindDelegatedCgroup().ok() ? 0 : 1;
                  }),
            0);
}

}  // namespace
}  // namespace capbroker
