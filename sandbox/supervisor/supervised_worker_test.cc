// What a worker with grants finds by name, and what not.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <set>
#include <string>

#include "base/status_matchers.h"
#include "gtest/gtest.h"
#include "sandbox/supervisor/capability_errno.h"
#include "sandbox/supervisor/supervised_fixture.h"

namespace capbroker::sandbox {
namespace {

using ::capbroker::testing::StatusIs;

class SupervisedWorkerTest : public ::testing::TestWithParam<Setting> {
 protected:
  SupervisedWorkerTest() : runner_(GetParam().off, {}, GetParam().most) {}

  void SetUp() override {
    const LayerSet needed = {Layer::kLandlock, Layer::kViolationReports};
    if (!runner_.sandbox().in_force().HasAll(needed)) {
      GTEST_SKIP() << "grants need " << needed.ToString() << "; see SupervisedWorkerAloneTest";
    }
  }

  // Runs `entry` with data/ granted for reading.
  std::string Run(absl::FunctionRef<void(Faults&)> entry) {
    return RunSupervised(runner_, {FileGrant::ReadTree(files_.Path("data"))}, entry);
  }
  std::string Path(const std::string& relative) const { return files_.Path(relative); }

  Files files_;
  WorkerRunner runner_;
};
INSTANTIATE_TEST_SUITE_P(Layers, SupervisedWorkerTest,
                         ::testing::Values(Setting{}, Setting{{Layer::kMountNamespace}},
                                           Setting{{Layer::kUserNamespace}},
                                           Setting{{Layer::kUnprivilegedUid}},
                                           Setting{{Layer::kPidNamespace}},
                                           Setting{kNamespaces.With(Layer::kUnprivilegedUid)},
                                           kHandles, kHandlesOfOneUser),
                         NameOf);

TEST_P(SupervisedWorkerTest, ReadsWhatIsBeneathATree) {
  EXPECT_EQ(Run([&](Faults& faults) {
              faults.Expect(Content(Path("data/hello")) == "hello\n", "hello");
              faults.Expect(Content(Path("data/sub/deep")) == "deep\n", "deep");
              faults.Expect(Content(Path("data/link")) == "deep\n", "link");
              faults.Expect(Content(Path("data/around")) == "hello\n", "around");
              faults.Expect(Content(Path("data/sub/../hello")) == "hello\n", "dotdot");
              faults.Expect(Content(Path("data//./hello")) == "hello\n", "dots");
              faults.Expect(Content(Path("other/../data/hello")) == "hello\n", "by its text");
              faults.ExpectErrno(open(Path("data/none").c_str(), O_RDONLY), ENOENT, "none");
              faults.ExpectErrno(open(Path("data/hello/").c_str(), O_RDONLY), ENOTDIR, "slash");
              faults.ExpectErrno(syscall(SYS_open, Path("data/hello").c_str(), O_RDONLY), 0,
                                 "open");
            }),
            "");
}

// INVARIANT(beneath-means-beneath)
TEST_P(SupervisedWorkerTest, ReachesNothingElse) {
  EXPECT_EQ(Run([&](Faults& faults) {
              for (const char* path : {"secret", "other/file", "data/../secret", "data/out",
                                       "data/sub/../../secret", "data/absolute", "other"}) {
                faults.ExpectErrno(open(Path(path).c_str(), O_RDONLY), kEnotcapable, path);
                struct stat status;
                faults.ExpectErrno(stat(Path(path).c_str(), &status), kEnotcapable, path);
                faults.ExpectErrno(access(Path(path).c_str(), F_OK), kEnotcapable, path);
              }
              char target[100];
              faults.ExpectErrno(readlink(Path("secret").c_str(), target, sizeof target),
                                 kEnotcapable, "readlink");
              for (const char* path :
                   {"/etc/passwd", "/proc/self/maps", "/proc/self/root/etc/passwd", "/dev/null",
                    "x", "../../../etc/passwd", "/dev/fd/3", "/proc/self/fd/3"}) {
                faults.ExpectErrno(open(path, O_RDONLY), kEnotcapable, path);
              }
              faults.ExpectErrno(open("", O_RDONLY), ENOENT, "empty");
            }),
            "");
}

TEST_P(SupervisedWorkerTest, WritesNothingForReading) {
  EXPECT_EQ(
      Run([&](Faults& faults) {
        const std::string hello = Path("data/hello");
        for (int flags : {O_WRONLY, O_RDWR, O_RDONLY | O_TRUNC, O_WRONLY | O_CREAT,
                          O_WRONLY | O_APPEND, O_RDONLY | O_CREAT | O_EXCL, O_ACCMODE}) {
          faults.ExpectErrno(open(hello.c_str(), flags, 0600), kEnotcapable, std::to_string(flags));
        }
        faults.ExpectErrno(open(Path("data/new").c_str(), O_RDONLY | O_CREAT, 0600), kEnotcapable,
                           "create");
        faults.ExpectErrno(open(Path("data").c_str(), O_RDWR | O_TMPFILE, 0600), EOPNOTSUPP,
                           "temporary");
        // Opening what is there takes no right to create.
        faults.ExpectErrno(open(hello.c_str(), O_RDONLY | O_CREAT, 0600), 0, "exists");
        faults.ExpectErrno(access(hello.c_str(), W_OK), kEnotcapable, "access");
        faults.ExpectErrno(mkdir(Path("data/d").c_str(), 0700), kEnotcapable, "mkdir");
        faults.ExpectErrno(unlink(hello.c_str()), kEnotcapable, "unlink");
        faults.ExpectErrno(rmdir(Path("data/sub").c_str()), kEnotcapable, "rmdir");
        faults.ExpectErrno(rename(hello.c_str(), Path("data/x").c_str()), kEnotcapable, "rename");
        faults.ExpectErrno(symlink("/etc", Path("data/x").c_str()), kEcapmode, "symlink");
        faults.ExpectErrno(link(hello.c_str(), Path("data/x").c_str()), kEcapmode, "link");
        faults.ExpectErrno(chmod(hello.c_str(), 0777), kEnotcapable, "chmod");
      }),
      "");
  EXPECT_EQ(Content(Path("data/hello")), "hello\n");
}

TEST_P(SupervisedWorkerTest, WritesAndCreatesBeneathATreeForWriting) {
  EXPECT_EQ(RunSupervised(runner_, {FileGrant::WriteTree(Path("data"))},
                          [&](Faults& faults) {
                            const int made = open(Path("data/sub/made").c_str(),
                                                  O_WRONLY | O_CREAT | O_EXCL, 06755);
                            faults.ExpectErrno(made, 0, "create");
                            faults.Expect(write(made, "made\n", 5) == 5, "write");
                            faults.ExpectErrno(umask(0), 0, "umask");
                            faults.ExpectErrno(creat(Path("data/open").c_str(), 0666), 0, "creat");
                            faults.ExpectErrno(open(Path("data/hello").c_str(), O_WRONLY | O_TRUNC),
                                               0, "truncate");
                            // Through a symlink out, to a file that is not there.
                            faults.ExpectErrno(
                                open(Path("data/dangling").c_str(), O_WRONLY | O_CREAT, 0600),
                                kEnotcapable, "dangling");
                            faults.ExpectErrno(open(Path("made").c_str(), O_WRONLY | O_CREAT, 0600),
                                               kEnotcapable, "outside");
                          }),
            "");
  EXPECT_EQ(Content(Path("data/sub/made")), "made\n");
  EXPECT_EQ(Content(Path("data/hello")), "");
  EXPECT_EQ(Content(Path("made")), "errno 2");
  struct stat status;
  // The mask of a worker's start, and no set-user-id.
  ASSERT_EQ(stat(Path("data/sub/made").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0700u);
  EXPECT_EQ(status.st_uid, geteuid());
  ASSERT_EQ(stat(Path("data/open").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0666u);
}

TEST_P(SupervisedWorkerTest, MakesRemovesAndRenamesBeneathATreeForWriting) {
  EXPECT_EQ(RunSupervised(
                runner_, {FileGrant::WriteTree(Path("data")), FileGrant::ReadTree(Path("other"))},
                [&](Faults& faults) {
                  const auto at = [&](const char* relative) { return Path(relative); };
                  faults.ExpectErrno(mkdir(at("data/new").c_str(), 07777), 0, "mkdir");
                  faults.ExpectErrno(mkdir(at("data/new/slash/").c_str(), 0755), 0, "mkdir slash");
                  faults.ExpectErrno(mkdir(at("data/new").c_str(), 0755), EEXIST, "exists");
                  faults.ExpectErrno(mkdir(files_.root().c_str(), 0755), EEXIST, "above");
                  faults.ExpectErrno(mkdir(at("data/none/x").c_str(), 0755), ENOENT, "no parent");
                  faults.ExpectErrno(rename(at("data/hello").c_str(), at("data/new/h").c_str()), 0,
                                     "rename");
                  faults.Expect(Content(at("data/new/h")) == "hello\n", "renamed");
                  const int directory = open(at("data/new").c_str(), O_RDONLY | O_DIRECTORY);
                  faults.ExpectErrno(mkdirat(directory, "at", 0755), 0, "mkdirat");
                  faults.ExpectErrno(renameat(directory, "h", directory, "i"), 0, "renameat");
                  faults.ExpectErrno(syscall(SYS_renameat2, directory, "i", directory, "at", 1),
                                     EEXIST, "no replacement");
                  faults.ExpectErrno(unlinkat(directory, "i", 0), 0, "unlinkat");
                  faults.ExpectErrno(unlinkat(directory, "at", AT_REMOVEDIR), 0, "rmdir at");
                  faults.ExpectErrno(rmdir(at("data/new/slash").c_str()), 0, "rmdir");
                  faults.ExpectErrno(rmdir(at("data").c_str()), kEnotcapable, "the grant");
                  faults.ExpectErrno(rmdir(at("data/.").c_str()), kEnotcapable, "the grant");
                  faults.ExpectErrno(rmdir(at("data/sub/..").c_str()), ENOTEMPTY, "dotdot");
                  faults.ExpectErrno(rmdir(at("data/sub").c_str()), ENOTEMPTY, "full");
                  // A symlink itself, and not where it leads.
                  faults.ExpectErrno(unlink(at("data/out").c_str()), 0, "symlink");
                  faults.ExpectErrno(unlink(at("secret").c_str()), kEnotcapable, "secret");
                  faults.ExpectErrno(unlink(at("other/file").c_str()), kEnotcapable, "for reading");
                  faults.ExpectErrno(rename(at("data/link").c_str(), at("other/x").c_str()),
                                     kEnotcapable, "into");
                  faults.ExpectErrno(rename(at("other/file").c_str(), at("data/x").c_str()),
                                     kEnotcapable, "from");
                  faults.ExpectErrno(rename(at("data/link").c_str(), at("stolen").c_str()),
                                     kEnotcapable, "out");
                }),
            "");
  EXPECT_EQ(Content(Path("secret")), "secret\n");
  struct stat status;
  ASSERT_EQ(stat(Path("data/new").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0700u);
}

TEST_P(SupervisedWorkerTest, ReadsAGrantedFileAndNotWhatLiesBesideIt) {
  EXPECT_EQ(
      RunSupervised(
          runner_,
          {FileGrant::ReadFile(Path("data/hello")), FileGrant::ReadFile(Path("data/link"))},
          [&](Faults& faults) {
            faults.Expect(Content(Path("data/hello")) == "hello\n", "hello");
            faults.Expect(Content(Path("data/link")) == "deep\n", "link");
            for (const char* path : {"data/around", "data/sub/deep", "data/sub", "data/none"}) {
              faults.ExpectErrno(open(Path(path).c_str(), O_RDONLY), kEnotcapable, path);
            }
            faults.ExpectErrno(open(Path("data/hello/x").c_str(), O_RDONLY), ENOTDIR, "below");
            faults.ExpectErrno(open(Path("data/hello/../around").c_str(), O_RDONLY), kEnotcapable,
                               "beside");
          }),
      "");
}

TEST_P(SupervisedWorkerTest, ADeviceIsOpenedOnlyWhereTheGrantNamesIt) {
  EXPECT_EQ(RunSupervised(runner_, {FileGrant::WriteFile("/dev/null")},
                          [](Faults& faults) {
                            faults.ExpectErrno(open("/dev/null", O_RDWR), 0, "null");
                            faults.ExpectErrno(open("/dev/zero", O_RDONLY), kEnotcapable, "zero");
                          }),
            "");
  EXPECT_EQ(RunSupervised(runner_, {FileGrant::ReadTree("/dev")},
                          [](Faults& faults) {
                            faults.Expect(open("/dev/null", O_RDONLY) < 0, "null");
                            faults.Expect(errno == kEnotcapable || errno == EACCES, "errno");
                          }),
            "");
}

TEST_P(SupervisedWorkerTest, ProcTellsNothingOfTheSupervisor) {
  EXPECT_EQ(
      RunSupervised(runner_, {FileGrant::WriteTree("/proc"), FileGrant::ReadFile("/proc/meminfo")},
                    [](Faults& faults) {
                      for (const char* path :
                           {"/proc/self/mem", "/proc/self/environ", "/proc/thread-self/maps",
                            "/proc/1/status", "/proc/self"}) {
                        const int fd = open(path, O_RDONLY);
                        faults.Expect(fd < 0, path);
                      }
                      faults.ExpectErrno(open("/proc/version", O_RDONLY), kEnotcapable, "any");
                      faults.ExpectErrno(open("/proc/meminfo", O_RDONLY), 0, "meminfo");
                    }),
      "");
}

TEST_P(SupervisedWorkerTest, LooksAtFiles) {
  struct stat outside;
  ASSERT_EQ(stat(Path("data/hello").c_str(), &outside), 0);
  EXPECT_EQ(
      Run([&](Faults& faults) {
        struct stat status = {};
        const std::string hello = Path("data/hello"), link = Path("data/link");
        faults.ExpectErrno(stat(hello.c_str(), &status), 0, "stat");
        faults.Expect(status.st_ino == outside.st_ino && status.st_size == 6, "inode");
        faults.ExpectErrno(lstat(link.c_str(), &status), 0, "lstat");
        faults.Expect(S_ISLNK(status.st_mode), "link");
        faults.ExpectErrno(syscall(SYS_stat, link.c_str(), &status), 0, "old stat");
        faults.Expect(S_ISREG(status.st_mode), "followed");
        faults.ExpectErrno(syscall(SYS_lstat, link.c_str(), &status), 0, "old lstat");
        struct statx extended = {};
        faults.ExpectErrno(statx(AT_FDCWD, hello.c_str(), 0, STATX_SIZE, &extended), 0, "statx");
        faults.Expect(extended.stx_size == 6, "size");
        faults.ExpectErrno(statx(AT_FDCWD, Path("secret").c_str(), 0, STATX_SIZE, &extended),
                           kEnotcapable, "statx outside");
        const int fd = open(hello.c_str(), O_RDONLY);
        faults.ExpectErrno(fstat(fd, &status), 0, "fstat");
        faults.Expect(status.st_ino == outside.st_ino, "fstat's inode");
        faults.ExpectErrno(statx(fd, "", AT_EMPTY_PATH, STATX_SIZE, &extended), 0, "statx fd");
        faults.ExpectErrno(access(hello.c_str(), R_OK), 0, "access");
        faults.ExpectErrno(syscall(SYS_access, hello.c_str(), R_OK), 0, "old access");
        faults.ExpectErrno(access(hello.c_str(), X_OK), EACCES, "executable");
        faults.ExpectErrno(access(Path("data/sub").c_str(), X_OK), 0, "searchable");
        faults.ExpectErrno(syscall(SYS_faccessat2, AT_FDCWD, hello.c_str(), R_OK, AT_EACCESS), 0,
                           "faccessat2");
        char target[100] = {};
        faults.Expect(readlink(link.c_str(), target, sizeof target) == 8, "readlink");
        faults.Expect(std::string(target) == "sub/deep", "target");
        faults.Expect(readlink(link.c_str(), target, 3) == 3, "cut");
        faults.ExpectErrno(readlink(hello.c_str(), target, sizeof target), EINVAL, "no link");
        faults.ExpectErrno(readlink(link.c_str(), target, 0), EINVAL, "no room");
      }),
      "");
}

TEST_P(SupervisedWorkerTest, SeesOfDirectoriesAboveNothingButTheirNames) {
  EXPECT_EQ(Run([&](Faults& faults) {
              struct stat status = {};
              for (const std::string& path : {std::string("/"), files_.root(), Path("data/..")}) {
                faults.ExpectErrno(stat(path.c_str(), &status), 0, path);
                faults.Expect(S_ISDIR(status.st_mode) && status.st_ino == 0, path);
                faults.ExpectErrno(open(path.c_str(), O_RDONLY), kEnotcapable, path);
                faults.ExpectErrno(open(path.c_str(), O_PATH), kEnotcapable, path);
                faults.ExpectErrno(access(path.c_str(), X_OK), 0, path);
                faults.ExpectErrno(access(path.c_str(), R_OK), kEnotcapable, path);
                char target[10];
                faults.ExpectErrno(readlink(path.c_str(), target, 10), EINVAL, path);
              }
              char* real = realpath(Path("data/link").c_str(), nullptr);
              faults.Expect(real != nullptr && real == Path("data/sub/deep"), "realpath");
            }),
            "");
}

std::set<std::string> Entries(const std::string& path) {
  std::set<std::string> names;
  DIR* directory = opendir(path.c_str());
  if (directory == nullptr) return {"errno " + std::to_string(errno)};
  while (const dirent* entry = readdir(directory)) names.insert(entry->d_name);
  closedir(directory);
  return names;
}

TEST_P(SupervisedWorkerTest, ListsAndWalksDirectories) {
  EXPECT_EQ(Run([&](Faults& faults) {
              faults.Expect(Entries(Path("data/sub")) == std::set<std::string>{".", "..", "deep"},
                            "list");
              const int data = open(Path("data").c_str(), O_RDONLY | O_DIRECTORY);
              const int copy = dup(data);
              close(data);
              const int sub = openat(copy, "sub", O_RDONLY | O_DIRECTORY);
              faults.ExpectErrno(sub, 0, "sub");
              faults.Expect(ContentOf(openat(sub, "deep", O_RDONLY)) == "deep\n", "deep");
              faults.Expect(ContentOf(openat(sub, "../hello", O_RDONLY)) == "hello\n", "up");
              faults.ExpectErrno(openat(sub, "../../secret", O_RDONLY), kEnotcapable, "out");
              faults.ExpectErrno(openat(copy, "out", O_RDONLY), kEnotcapable, "symlink out");
              const int path_only = openat(copy, "sub", O_PATH);
              faults.Expect(ContentOf(openat(path_only, "deep", O_RDONLY)) == "deep\n", "O_PATH");
              struct stat status = {};
              faults.ExpectErrno(fstatat(sub, "deep", &status, 0), 0, "fstatat");
              faults.ExpectErrno(fstatat(sub, "../../secret", &status, 0), kEnotcapable,
                                 "stat out");
              faults.ExpectErrno(faccessat(sub, "deep", R_OK, 0), 0, "faccessat");
              char target[20];
              faults.Expect(readlinkat(copy, "link", target, sizeof target) == 8, "readlinkat");
              const int file = openat(sub, "deep", O_RDONLY);
              faults.ExpectErrno(openat(file, "x", O_RDONLY), ENOTDIR, "beneath a file");
              faults.ExpectErrno(openat(99, "x", O_RDONLY), EBADF, "beneath nothing");
              faults.ExpectErrno(openat(99, Path("data/hello").c_str(), O_RDONLY), 0, "absolute");
            }),
            "");
}

TEST_P(SupervisedWorkerTest, HasAWorkingDirectoryOfItsOwn) {
  EXPECT_EQ(
      Run([&](Faults& faults) {
        char name[4096];
        faults.Expect(getcwd(name, sizeof name) != nullptr && std::string(name) == "/", "cwd");
        faults.ExpectErrno(chdir(Path("data").c_str()), 0, "chdir");
        faults.Expect(Content("hello") == "hello\n", "relative");
        faults.Expect(Content("./sub/deep") == "deep\n", "relative");
        faults.Expect(Content("../data/hello") == "hello\n", "around");
        faults.ExpectErrno(chdir("sub"), 0, "chdir sub");
        faults.Expect(getcwd(name, sizeof name) != nullptr && name == Path("data/sub"), "sub");
        faults.ExpectErrno(chdir("../sublink/.."), 0, "through a symlink");
        faults.Expect(getcwd(name, sizeof name) != nullptr && name == Path("data"), "back");
        faults.ExpectErrno(syscall(SYS_getcwd, name, 3), ERANGE, "no room");
        faults.ExpectErrno(chdir("hello"), ENOTDIR, "a file");
        faults.ExpectErrno(chdir(Path("other").c_str()), kEnotcapable, "other");
        faults.ExpectErrno(chdir("/etc"), kEnotcapable, "etc");
        const int sub = open("sub", O_RDONLY | O_DIRECTORY);
        faults.ExpectErrno(fchdir(sub), 0, "fchdir");
        faults.Expect(Content("deep") == "deep\n", "deep");
        faults.ExpectErrno(chdir("/"), 0, "root");
        faults.ExpectErrno(open("etc/passwd", O_RDONLY), kEnotcapable, "passwd");
      }),
      "");
}

TEST_P(SupervisedWorkerTest, RestrictsItselfFurtherWithOpenat2) {
  EXPECT_EQ(Run([&](Faults& faults) {
              const int sub = open(Path("data/sub").c_str(), O_RDONLY | O_DIRECTORY);
              const auto opened = [&](const char* path, uint64_t resolve) {
                open_how how = {};
                how.flags = O_RDONLY;
                how.resolve = resolve;
                return syscall(SYS_openat2, sub, path, &how, sizeof how);
              };
              faults.ExpectErrno(opened("deep", 0), 0, "plain");
              faults.ExpectErrno(opened("deep", RESOLVE_BENEATH), 0, "beneath");
              faults.ExpectErrno(opened("../hello", 0), 0, "up");
              faults.ExpectErrno(opened("../hello", RESOLVE_BENEATH), EXDEV, "beneath sub");
              faults.ExpectErrno(opened("../deep", RESOLVE_IN_ROOT), 0, "in root");
              faults.ExpectErrno(opened("../link", RESOLVE_NO_SYMLINKS), ELOOP, "no symlinks");
              faults.ExpectErrno(opened("deep", 1 << 20), EINVAL, "unknown");
              faults.ExpectErrno(syscall(SYS_openat2, sub, "deep", nullptr, 24), EFAULT, "null");
              faults.ExpectErrno(syscall(SYS_openat2, sub, "deep", &faults, 3), EINVAL, "short");
            }),
            "");
}

TEST_P(SupervisedWorkerTest, GrantsAddUp) {
  EXPECT_EQ(RunSupervised(
                runner_,
                {FileGrant::ReadTree(Path("data")),
                 FileGrant::WriteTree(Path("data/sub")),
                 FileGrant::ReadFile(Path("secret")),
                 {Path("other"), FileGrant::Extent::kTree, kWriteFiles}},
                [&](Faults& faults) {
                  faults.Expect(Content(Path("data/hello")) == "hello\n", "hello");
                  faults.Expect(Content(Path("data/../secret")) == "secret\n", "secret");
                  faults.ExpectErrno(open(Path("data/sub/deep").c_str(), O_RDWR), 0, "deep");
                  faults.ExpectErrno(open(Path("data/hello").c_str(), O_RDWR), kEnotcapable, "w");
                  faults.ExpectErrno(open(Path("other/file").c_str(), O_WRONLY), 0, "write only");
                  faults.ExpectErrno(open(Path("other/file").c_str(), O_RDONLY), kEnotcapable,
                                     "write only");
                }),
            "");
}

TEST_P(SupervisedWorkerTest, DiesAtAViolationThatTheReportNames) {
  Start start;
  start.supervision.emplace().files = {FileGrant::ReadTree(Path("data"))};
  const Story story = runner_.Run(
      [&] {
        if (Content(Path("data/hello")) != "hello\n") return 1;
        TrySystemCall("ptrace", 0, 0, 0, 0);
        return 2;
      },
      std::move(start));
  EXPECT_EQ(story.signal(), SIGKILL) << story.text;
  EXPECT_EQ(story.violated_call(), "ptrace") << story.text;
  EXPECT_TRUE(story.started.has_value());
}

// INVARIANT(fail-closed)
TEST_P(SupervisedWorkerTest, DoesNotStartWhereAGrantLeadsNowhere) {
  for (const FileGrant& grant :
       {FileGrant::ReadTree(Path("none")), FileGrant::ReadTree(Path("data/hello")),
        FileGrant::ReadFile(Path("data"))}) {
    Start start;
    start.supervision.emplace().files = {grant};
    const Story story = runner_.Run([] { return 0; }, std::move(start));
    ASSERT_TRUE(story.failed.has_value()) << story.text;
    EXPECT_EQ(story.failed->step, Step::kGrants) << story.text;
  }
}

TEST(SupervisedWorkerAloneTest, TakesGrantsInNormalFormOnly) {
  WorkerRunner runner;
  for (const char* path : {"", "data", "/data/", "/data/../x", "/data//x", "/./x"}) {
    Start start;
    start.supervision.emplace().files = {FileGrant::ReadTree(path)};
    EXPECT_THAT(runner.sandbox().Fork(std::move(start), [] { return 0; }).status(),
                StatusIs(absl::StatusCode::kInvalidArgument))
        << path;
  }
}

// INVARIANT(fail-closed)
TEST(SupervisedWorkerAloneTest, HasNoGrantsWhereNothingConfinesItsSupervisor) {
  for (const Layer layer : {Layer::kLandlock, Layer::kViolationReports}) {
    WorkerRunner runner({layer});
    Start start;
    start.supervision.emplace().files = {FileGrant::ReadTree("/usr")};
    EXPECT_THAT(runner.sandbox().Fork(std::move(start), [] { return 0; }).status(),
                StatusIs(absl::StatusCode::kFailedPrecondition));
  }
}

}  // namespace
}  // namespace capbroker::sandbox
