// Attacks on a granted directory: everything that could lead a path out of it.
// INVARIANT(beneath-means-beneath)
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <functional>
#include <string>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "services/file/file_opener_fixture.h"

namespace capbroker::file {
namespace {

using ::grpc::StatusCode;

class BeneathAttackTest : public FileOpenerFixture {
 protected:
  void SetUp() override {
    MakeDirectory("granted");
    MakeDirectory("granted/sub");
    MakeDirectory("granted/other");
    MakeFile("granted/file", "inside");
    MakeFile("granted/sub/file", "sub");
    MakeFile("granted/other/file", "other");
    MakeDirectory("outside");
    MakeFile("outside/file", "outside");
    MakeFile("secret", "outside");
    limits_ = Everything("granted/");
  }
  // All methods that could tell something about what is at `path`.
  void ExpectRefused(const v1::FileOpenerLimits& limits, absl::string_view path) {
    EXPECT_THAT(Open(limits, path), IsRefusedByObject("paths")) << path;
    EXPECT_THAT(Open(limits, path, v1::ACCESS_WRITE), IsRefusedByObject("paths")) << path;
    EXPECT_THAT(Stat(limits, path), IsRefusedByObject("paths")) << path;
    EXPECT_THAT(RealPath(limits, path), IsRefusedByObject("paths")) << path;
    EXPECT_THAT(OpenDirectory(limits, path), IsRefusedByObject("paths")) << path;
  }
  v1::FileOpenerLimits limits_;
};

TEST_F(BeneathAttackTest, FollowsSymlinksThatStay) {
  MakeSymlink("sub", "granted/link");
  MakeSymlink("../file", "granted/sub/up");
  MakeSymlink("link/../sub/./file", "granted/winding");
  for (const auto& [path, contents] :
       {std::pair("granted/link/file", "sub"), std::pair("granted/sub/up", "inside"),
        std::pair("granted/link/up", "inside"), std::pair("granted/winding", "sub")}) {
    Answer<v1::OpenResponse> answer = Open(limits_, path);
    ASSERT_THAT(answer, Succeeds()) << path;
    EXPECT_EQ(Contents(answer), contents);
  }
}

TEST_F(BeneathAttackTest, RefusesSymlinksThatLeave) {
  MakeSymlink("../secret", "granted/up");
  MakeSymlink("../outside", "granted/directory");
  MakeSymlink("sub/../../secret", "granted/winding");
  MakeSymlink("up", "granted/first");
  MakeSymlink("first", "granted/chain");
  MakeSymlink("../granted/file", "granted/out_and_in");
  MakeSymlink("../../../../../../../../../../etc/passwd", "granted/far");
  for (const char* path :
       {"granted/up", "granted/directory", "granted/directory/file", "granted/winding",
        "granted/chain", "granted/out_and_in", "granted/far"}) {
    ExpectRefused(limits_, path);
  }
}

TEST_F(BeneathAttackTest, RefusesAbsoluteSymlinksAlsoThoseThatLeadBack) {
  MakeSymlink("/etc/passwd", "granted/absolute");
  MakeSymlink(Path("granted/file"), "granted/back");
  MakeSymlink("/", "granted/root");
  for (const char* path :
       {"granted/absolute", "granted/back", "granted/root", "granted/root/etc/passwd"}) {
    ExpectRefused(limits_, path);
  }
}

TEST_F(BeneathAttackTest, RefusesALoopOfSymlinks) {
  MakeSymlink("loop", "granted/loop");
  ExpectRefused(limits_, "granted/loop");
}

TEST_F(BeneathAttackTest, DoesNotTellWhatExistsOutside) {
  MakeSymlink("../secret", "granted/there");
  MakeSymlink("../absent", "granted/not_there");
  MakeSymlink("/etc/passwd", "granted/absolute_there");
  MakeSymlink("/etc/absent", "granted/absolute_not_there");
  const auto there = Stat(limits_, "granted/there");
  for (const char* path :
       {"granted/not_there", "granted/absolute_there", "granted/absolute_not_there"}) {
    const auto answer = Stat(limits_, path);
    EXPECT_EQ(answer.status.error_code(), there.status.error_code()) << path;
    EXPECT_EQ(answer.status.error_message(), there.status.error_message()) << path;
  }
  MakeSymlink("absent", "granted/dangling");
  EXPECT_THAT(Stat(limits_, "granted/dangling"), HasCode(StatusCode::NOT_FOUND));
}

TEST_F(BeneathAttackTest, CreatesNothingOutside) {
  MakeSymlink("../outside", "granted/directory");
  MakeSymlink("../outside/new", "granted/dangling");
  MakeSymlink("../secret", "granted/up");
  EXPECT_THAT(Create(limits_, "granted/directory/new"), IsRefusedByObject("paths"));
  EXPECT_THAT(Create(limits_, "granted/dangling"), HasCode(StatusCode::ALREADY_EXISTS));
  EXPECT_THAT(Create(limits_, "granted/up"), HasCode(StatusCode::ALREADY_EXISTS));
  EXPECT_THAT(Create(limits_, "granted"), IsRefusedByObject("paths"));
  EXPECT_NE(access(Path("outside/new").c_str(), F_OK), 0);
}

TEST_F(BeneathAttackTest, FollowsNoMagicLink) {
  v1::FileOpenerLimits limits = Everything("/proc/");
  limits.set_kernel_file_systems(3);
  const UniqueFd outside(open(Path("secret").c_str(), O_RDONLY | O_CLOEXEC));
  const std::string process = absl::StrCat("/proc/", getpid());
  for (const std::string& path :
       {absl::StrCat(process, "/fd/", outside.get()), process + "/root/etc/passwd",
        process + "/cwd", process + "/exe", absl::StrCat("/proc/self/fd/", outside.get())}) {
    EXPECT_THAT(Open(limits, path), IsRefusedByObject("paths")) << path;
  }
  // Not on the application's own way either.
  EXPECT_THAT(Open(Everything(process + "/root/"), process + "/root/etc/passwd"),
              IsRefusedByObject("paths"));
}

TEST_F(BeneathAttackTest, RefusesKernelFileSystemsWithoutTheirGrant) {
  for (const char* path : {"/proc/version", "/proc/self/status", "/sys/kernel/uevent_seqnum"}) {
    v1::FileOpenerLimits limits = Everything("/");
    if (access(path, R_OK) != 0) continue;
    EXPECT_THAT(Open(limits, path), IsRefusedByObject("kernel_file_systems")) << path;
    EXPECT_THAT(Stat(limits, path), IsRefusedByObject("kernel_file_systems")) << path;
    EXPECT_THAT(RealPath(limits, path), IsRefusedByObject("kernel_file_systems")) << path;
    limits.set_kernel_file_systems(1);
    EXPECT_THAT(Open(limits, path), Succeeds()) << path;
    EXPECT_THAT(Stat(limits, path), Succeeds()) << path;
    EXPECT_THAT(Open(limits, path, v1::ACCESS_WRITE), IsRefusedByObject("kernel_file_systems"));
  }
  EXPECT_THAT(ReadLink(Everything("/"), "/proc/self"), IsRefusedByObject("kernel_file_systems"));
  EXPECT_THAT(OpenDirectory(Everything("/"), "/proc"), IsRefusedByObject("kernel_file_systems"));
}

// Narrowing takes paths that the holder chooses. Were symlinks on the way to them
// followed as they are for the application's own, it would widen.
TEST_F(BeneathAttackTest, NarrowingToASymlinkDoesNotWiden) {
  MakeSymlink("../outside", "granted/leaving");
  MakeSymlink("other", "granted/staying");
  MakeSymlink(Path("outside"), "granted/absolute");
  for (const char* entry : {"granted/leaving", "granted/staying", "granted/absolute"}) {
    for (const char* slash : {"", "/"}) {
      v1::FileOpenerLimits wanted = Everything(absl::StrCat(entry, slash));
      v1::FileOpenerLimits narrowed;
      narrowed.CopyFrom(*Meet(*Compile(limits_), *Compile(wanted))->message());
      ASSERT_EQ(narrowed.paths(0), absl::StrCat(Path(entry), slash));
      ExpectRefused(narrowed, entry);
      EXPECT_FALSE(Open(narrowed, absl::StrCat(entry, "/file")).ok());
      // With the application's root kept, as an honest holder does.
      narrowed.add_trusted_roots(Path("granted/"));
      ExpectRefused(narrowed, entry);
      EXPECT_FALSE(Open(narrowed, absl::StrCat(entry, "/file")).ok());
      EXPECT_FALSE(Create(narrowed, absl::StrCat(entry, "/new")).ok());
    }
  }
}

TEST_F(BeneathAttackTest, ANarrowedDirectoryBoundsSymlinksAnew) {
  MakeSymlink("../other", "granted/sub/aside");
  MakeSymlink("../file", "granted/sub/up");
  EXPECT_THAT(Open(limits_, "granted/sub/aside/file"), Succeeds());
  v1::FileOpenerLimits narrowed = Everything("granted/sub/", /*trusted=*/false);
  narrowed.add_trusted_roots(Path("granted/"));
  EXPECT_THAT(Open(narrowed, "granted/sub/file"), Succeeds());
  ExpectRefused(narrowed, "granted/sub/aside/file");
  ExpectRefused(narrowed, "granted/sub/up");
  EXPECT_THAT(Create(narrowed, "granted/sub/aside/new"), IsRefusedByObject("paths"));
}

TEST_F(BeneathAttackTest, EverythingIsNoTrustedRoot) {
  MakeSymlink("../outside", "granted/link");
  v1::FileOpenerLimits limits = Everything("granted/");
  limits.add_trusted_roots("*");
  ExpectRefused(limits, "granted/link/file");
  v1::FileOpenerLimits narrowed = Everything("granted/link/", /*trusted=*/false);
  narrowed.add_trusted_roots("*");
  ExpectRefused(narrowed, "granted/link/file");
}

TEST_F(BeneathAttackTest, FollowsTheWayThatTheApplicationNamed) {
  MakeSymlink("granted", "name");
  MakeSymlink("file", "granted/named_file");
  Answer<v1::OpenResponse> beneath = Open(Everything("name/"), "name/file");
  ASSERT_THAT(beneath, Succeeds());
  EXPECT_EQ(Contents(beneath), "inside");
  EXPECT_THAT(Open(Everything("granted/named_file"), "granted/named_file"), Succeeds());
  // Without trust, only what is really there.
  ExpectRefused(Everything("name/", /*trusted=*/false), "name/file");
  ExpectRefused(Everything("granted/named_file", /*trusted=*/false), "granted/named_file");
  // What the application named does not change what is beneath.
  MakeSymlink("../secret", "granted/up");
  ExpectRefused(Everything("name/"), "name/up");
}

TEST_F(BeneathAttackTest, AReplacedRootIsFoundUnderItsName) {
  ASSERT_EQ(rename(Path("granted").c_str(), Path("moved").c_str()), 0);
  EXPECT_THAT(Open(limits_, "granted/file"), HasCode(StatusCode::NOT_FOUND));
  MakeDirectory("granted");
  MakeFile("granted/file", "new");
  Answer<v1::OpenResponse> answer = Open(limits_, "granted/file");
  ASSERT_THAT(answer, Succeeds());
  EXPECT_EQ(Contents(answer), "new");
}

// Somebody exchanges a directory with a symlink, and moves a directory that is
// being walked, while the worker asks. Never is a file from outside given out.
class SwapAttackTest : public BeneathAttackTest {
 protected:
  static constexpr absl::Duration kTime = absl::Seconds(2);

  void Exchange(const std::string& a, const std::string& b) {
    syscall(SYS_renameat2, AT_FDCWD, a.c_str(), AT_FDCWD, b.c_str(), RENAME_EXCHANGE);
  }
  // Opens `path` while `attack` runs, and counts what it gave.
  void OpenDuring(const std::function<void()>& attack, const v1::FileOpenerLimits& limits,
                  absl::string_view path) {
    std::atomic<bool> stop = false;
    std::thread attacker([&] {
      while (!stop) attack();
    });
    int opened = 0;
    int refused = 0;
    for (const absl::Time end = absl::Now() + kTime; absl::Now() < end;) {
      Answer<v1::OpenResponse> answer = Open(limits, path);
      if (answer.ok()) {
        ++opened;
        EXPECT_NE(Contents(answer), "outside");
      } else {
        ++refused;
        EXPECT_NE(answer.status.error_code(), StatusCode::INTERNAL);
      }
      Answer<v1::RealPathResponse> real = RealPath(limits, path);
      if (real.ok()) {
        EXPECT_TRUE(limits.paths(0) == absl::StrCat(Path("granted"), "/") &&
                    real.response.path().find(limits.paths(0)) == 0)
            << real.response.path();
      }
      if (HasFailure()) break;
    }
    stop = true;
    attacker.join();
    // The attack has to have hit: both outcomes were seen.
    EXPECT_GT(opened, 0);
    EXPECT_GT(refused, 0);
  }
};

TEST_F(SwapAttackTest, ExchangingADirectoryWithASymlinkGivesNothingFromOutside) {
  MakeSymlink("../outside", "granted/swap");
  const std::string a = Path("granted/sub");
  const std::string b = Path("granted/swap");
  OpenDuring([&] { Exchange(a, b); }, limits_, "granted/sub/file");
}

TEST_F(SwapAttackTest, ExchangingAFileWithASymlinkGivesNothingFromOutside) {
  MakeSymlink("../secret", "granted/swap");
  const std::string a = Path("granted/file");
  const std::string b = Path("granted/swap");
  OpenDuring([&] { Exchange(a, b); }, limits_, "granted/file");
}

TEST_F(SwapAttackTest, ExchangingADirectoryWithASymlinkCreatesNothingOutside) {
  MakeDirectory("outside/empty");
  MakeSymlink("../outside/empty", "granted/swap");
  const std::string a = Path("granted/sub");
  const std::string b = Path("granted/swap");
  std::atomic<bool> stop = false;
  std::thread attacker([&] {
    while (!stop) Exchange(a, b);
  });
  int created = 0;
  const absl::Time end = absl::Now() + kTime;
  for (int i = 0; absl::Now() < end; ++i) {
    if (Create(limits_, absl::StrCat("granted/sub/new", i)).ok()) ++created;
  }
  stop = true;
  attacker.join();
  EXPECT_GT(created, 0);
  EXPECT_TRUE(std::filesystem::is_empty(Path("outside/empty")));
}

TEST_F(SwapAttackTest, MovingADirectoryThatIsWalkedGivesNothingFromOutside) {
  // granted/sub/deep/up/file is granted/sub/../file: moved out, `..` leads elsewhere.
  MakeDirectory("granted/sub/deep");
  MakeSymlink("../../file", "granted/sub/deep/up");
  MakeDirectory("outside/deep");
  const std::string a = Path("granted/sub/deep");
  const std::string b = Path("outside/moved");
  MakeFile("outside/up", "outside");
  OpenDuring(
      [&] {
        rename(a.c_str(), b.c_str());
        rename(b.c_str(), a.c_str());
      },
      limits_, "granted/sub/deep/up");
}

// The kernel marks a removed file's path with " (deleted)", which is also a name.
TEST_F(SwapAttackTest, TheRealPathOfARemovedFileIsNotAnotherFiles) {
  MakeFile("granted/page (deleted)", "another");
  const std::string page = Path("granted/page");
  std::atomic<bool> stop = false;
  std::thread attacker([&] {
    while (!stop) {
      close(open(page.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
      unlink(page.c_str());
    }
  });
  int told = 0;
  int absent = 0;
  for (const absl::Time end = absl::Now() + kTime; absl::Now() < end;) {
    const Answer<v1::RealPathResponse> real = RealPath(limits_, "granted/page");
    if (real.ok()) {
      ++told;
      EXPECT_EQ(real.response.path(), page);
    } else {
      ++absent;
    }
    if (HasFailure()) break;
  }
  stop = true;
  attacker.join();
  EXPECT_GT(told, 0);
  EXPECT_GT(absent, 0);
}

}  // namespace
}  // namespace capbroker::file
