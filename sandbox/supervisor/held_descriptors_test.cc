// What is done by a descriptor that a worker holds, and what it makes of the supervisor's looking
// at them: others at the same number, and files and directories that it was only handed.
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/descriptor_packet.h"
#include "base/unique_fd.h"
#include "gtest/gtest.h"
#include "sandbox/supervisor/supervised_fixture.h"

namespace capbroker::sandbox {
namespace {

constexpr int kHandedToo = kHanded + 1;
// At which a thread exchanges what there is.
constexpr int kNumber = 20;

class HeldDescriptorsTest : public ::testing::TestWithParam<Setting> {
 protected:
  HeldDescriptorsTest() : runner_(GetParam().off, {}, GetParam().most) {}

  void SetUp() override {
    const LayerSet needed = {Layer::kLandlock, Layer::kViolationReports};
    if (!runner_.sandbox().in_force().HasAll(needed))
      GTEST_SKIP() << "grants need " << needed.ToString();
    ASSERT_EQ(runner_.sandbox().sight(), GetParam().most);
  }

  // Runs `entry` in a worker with data/ granted for writing, which has `handed` from kHanded on.
  std::string Run(std::vector<UniqueFd> handed, absl::FunctionRef<void(Faults&)> entry) {
    return RunSupervised(runner_, {FileGrant::WriteTree(Path("data"))}, entry, std::move(handed));
  }
  std::vector<UniqueFd> Opened(const std::string& relative, int flags) const {
    std::vector<UniqueFd> opened;
    opened.emplace_back(open(Path(relative).c_str(), flags | O_CLOEXEC));
    EXPECT_TRUE(opened[0].valid()) << relative;
    return opened;
  }
  struct stat StatusOf(const std::string& relative) const {
    struct stat status = {};
    EXPECT_EQ(lstat(Path(relative).c_str(), &status), 0) << relative;
    return status;
  }
  bool SeesRights() { return runner_.sandbox().sight() == DescriptorSight::kDuplicates; }
  std::string Path(const std::string& relative) const { return files_.Path(relative); }

  Files files_;
  WorkerRunner runner_;
};
INSTANTIATE_TEST_SUITE_P(Layers, HeldDescriptorsTest,
                         ::testing::Values(Setting{}, Setting{kNamespaces}, kHandles,
                                           kHandlesOfOneUser),
                         NameOf);

TEST_P(HeldDescriptorsTest, TellWhatTheyAreOf) {
  EXPECT_EQ(Run(Opened("secret", O_RDONLY),
                [&](Faults& faults) {
                  struct stat status;
                  // Not fstat(), of which the table knows that it takes no path.
                  const auto look = [&status](int fd) {
                    return syscall(SYS_newfstatat, fd, "", &status, AT_EMPTY_PATH);
                  };
                  faults.ExpectErrno(look(kHanded), 0, "handed");
                  faults.Expect(status.st_size == 7 && S_ISREG(status.st_mode), "a file");
                  faults.ExpectErrno(look(kTether), 0, "tether");
                  faults.Expect(S_ISSOCK(status.st_mode), "a socket");
                  faults.ExpectErrno(look(99), EBADF, "none");
                  faults.ExpectErrno(look(-5), EBADF, "negative");
                  faults.ExpectErrno(look(0x7fffffff), EBADF, "the last");
                  struct statx extended;
                  faults.ExpectErrno(statx(kHanded, "", AT_EMPTY_PATH, STATX_SIZE, &extended), 0,
                                     "statx");
                  faults.Expect(extended.stx_size == 7, "size");
                  faults.ExpectErrno(syscall(SYS_faccessat2, kHanded, "", R_OK, AT_EMPTY_PATH), 0,
                                     "faccessat2");
                }),
            "");
}

// Where no mount says where it came from, the name does.
TEST_P(HeldDescriptorsTest, ChangeWhatWasOpenedUnderAGrant) {
  EXPECT_EQ(Run({},
                [&](Faults& faults) {
                  faults.ExpectErrno(chdir(Path("data").c_str()), 0, "chdir");
                  const int made = open("made", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
                  const timespec times[] = {{1000, 0}, {2000, 0}};
                  faults.ExpectErrno(fchmod(made, 0640), 0, "fchmod");
                  faults.ExpectErrno(futimens(made, times), 0, "futimens");
                  faults.ExpectErrno(fchown(made, ~0u, ~0u), 0, "fchown");
                  faults.ExpectErrno(ftruncate(made, 3), 0, "ftruncate");
                  faults.ExpectErrno(fallocate(made, 0, 0, 5), 0, "fallocate");
                  // A link leads to what is behind it.
                  const int deep = open("link", O_RDWR | O_CLOEXEC);
                  faults.ExpectErrno(fchmod(deep, 0604), 0, "fchmod through a link");
                  const int directory = open("sub/..//sub", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
                  faults.ExpectErrno(fchmod(directory, 0711), 0, "fchmod of a directory");
                  faults.ExpectErrno(fchmod(99, 0600), EBADF, "none");
                  faults.ExpectErrno(fchmod(kTether, 0600), EPERM, "a socket");
                }),
            "");
  EXPECT_EQ(StatusOf("data/made").st_mode, mode_t{S_IFREG | 0640});
  EXPECT_EQ(StatusOf("data/made").st_size, 5);
  EXPECT_EQ(StatusOf("data/sub/deep").st_mode, mode_t{S_IFREG | 0604});
  EXPECT_EQ(StatusOf("data/sub").st_mode, mode_t{S_IFDIR | 0711});
}

TEST_P(HeldDescriptorsTest, ChangeNothingThatIsOnlyGrantedForReading) {
  EXPECT_EQ(RunSupervised(runner_, {FileGrant::ReadTree(Path("data"))},
                          [&](Faults& faults) {
                            const int hello = open(Path("data/hello").c_str(), O_RDONLY);
                            faults.ExpectErrno(fchmod(hello, 0777), EPERM, "fchmod");
                            faults.ExpectErrno(futimens(hello, nullptr), EPERM, "futimens");
                            faults.ExpectErrno(ftruncate(hello, 0), EPERM, "ftruncate");
                          }),
            "");
  EXPECT_EQ(Content(Path("data/hello")), "hello\n");
}

// INVARIANT(default-deny): others share them, and O_APPEND is a right.
TEST_P(HeldDescriptorsTest, FlagsStay) {
  std::vector<UniqueFd> handed = Opened("secret", O_WRONLY | O_APPEND);
  handed.push_back(std::move(Opened("secret", O_RDONLY)[0]));
  EXPECT_EQ(Run(std::move(handed),
                [&](Faults& faults) {
                  const int appends = fcntl(kHanded, F_GETFL), reads = fcntl(kHandedToo, F_GETFL);
                  faults.ExpectErrno(fcntl(kHanded, F_SETFL, appends & ~O_APPEND), EPERM,
                                     "cleared");
                  faults.ExpectErrno(fcntl(kHanded, F_SETFL, O_WRONLY | O_NONBLOCK), EPERM,
                                     "cleared beside");
                  faults.ExpectErrno(fcntl(kHandedToo, F_SETFL, reads | O_NONBLOCK), 0, "set");
                  faults.ExpectErrno(fcntl(kHandedToo, F_SETFL, reads), 0, "put back");
                  faults.ExpectErrno(fcntl(kHandedToo, F_SETFL, reads | O_ASYNC), EPERM, "async");
                  const int tether = fcntl(kTether, F_GETFL);
                  faults.ExpectErrno(fcntl(kTether, F_SETFL, tether), 0, "of a socket");
                  faults.ExpectErrno(fcntl(99, F_SETFL, 0), EBADF, "none");
                  faults.Expect(fcntl(kHanded, F_GETFL) == appends, "it still appends");
                }),
            "");
}

// A right that Linux knows nothing of: the descriptor alone would allow it.
TEST_P(HeldDescriptorsTest, ChangeMetadataOfNothingThatWasOnlyHanded) {
  EXPECT_EQ(Run(Opened("secret", O_RDWR),
                [&](Faults& faults) {
                  faults.ExpectErrno(fchmod(kHanded, 0777), EPERM, "fchmod");
                  faults.ExpectErrno(futimens(kHanded, nullptr), EPERM, "futimens");
                  faults.ExpectErrno(fchown(kHanded, ~0u, ~0u), EPERM, "fchown");
                }),
            "");
}

// INVARIANT(default-deny): appending is a right of its own.
TEST_P(HeldDescriptorsTest, ResizeWhatTheyMayWriteAndDoNotOnlyAppendTo) {
  std::vector<UniqueFd> handed = Opened("secret", O_WRONLY | O_APPEND);
  handed.push_back(std::move(Opened("secret", O_RDONLY)[0]));
  Start start;
  start.bounds.file_size_bytes = 1 << 20;
  EXPECT_EQ(RunSupervised(
                runner_, {FileGrant::WriteTree(Path("data"))},
                [&](Faults& faults) {
                  for (const int fd : {kHanded, kHandedToo}) {
                    faults.ExpectErrno(ftruncate(fd, 0), EPERM, "ftruncate");
                    faults.ExpectErrno(fallocate(fd, 0, 0, 100), EPERM, "fallocate");
                  }
                  const int fd = open(Path("data/hello").c_str(), O_RDWR);
                  faults.ExpectErrno(ftruncate(fd, 3), 0, "ftruncate");
                  faults.ExpectErrno(fallocate(fd, 0, 0, 4096), 0, "fallocate");
                  faults.ExpectErrno(ftruncate(fd, (1 << 20) + 1), EFBIG, "too large");
                  faults.ExpectErrno(fallocate(fd, 0, 1 << 20, 1), EFBIG, "too large");
                  faults.ExpectErrno(ftruncate(fd, -1), EINVAL, "negative");
                  faults.ExpectErrno(ftruncate(99, 0), EBADF, "none");
                },
                std::move(handed), std::move(start)),
            "");
  EXPECT_EQ(Content(Path("secret")), "secret\n");
}

// The kernel would open it for writing by a handle: it has no name that Landlock knows.
TEST_P(HeldDescriptorsTest, MakeNothingWritableThatWasHandedForReading) {
  const UniqueFd memory(memfd_create("handed", MFD_CLOEXEC));
  ASSERT_EQ(write(memory.get(), "memory", 6), 6);
  std::vector<UniqueFd> handed;
  handed.emplace_back(open(absl::StrCat("/proc/self/fd/", memory.get()).c_str(), O_RDONLY));
  ASSERT_TRUE(handed[0].valid());
  EXPECT_EQ(Run(std::move(handed),
                [&](Faults& faults) {
                  faults.ExpectErrno(ftruncate(kHanded, 0), EPERM, "ftruncate");
                  faults.ExpectErrno(fallocate(kHanded, 0, 0, 100), EPERM, "fallocate");
                  faults.ExpectErrno(fchmod(kHanded, 0777), EPERM, "fchmod");
                }),
            "");
  struct stat status;
  ASSERT_EQ(fstat(memory.get(), &status), 0);
  EXPECT_EQ(status.st_size, 6);
}

// INVARIANT(beneath-means-beneath)
TEST_P(HeldDescriptorsTest, DoNothingToWhatHasTheirNameMeanwhile) {
  if (SeesRights() && runner_.sandbox().in_force().Has(Layer::kMountNamespace)) {
    GTEST_SKIP() << "the mount says where it came from, whatever it is called";
  }
  EXPECT_EQ(Run({},
                [&](Faults& faults) {
                  const std::string hello = Path("data/hello");
                  const int held = open(hello.c_str(), O_RDWR | O_CLOEXEC);
                  faults.ExpectErrno(rename(hello.c_str(), Path("data/old").c_str()), 0, "rename");
                  faults.ExpectErrno(fchmod(held, 0777), ESTALE, "no successor");
                  close(open(hello.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
                  faults.ExpectErrno(fchmod(held, 0777), ESTALE, "a successor");
                  if (!SeesRights()) faults.ExpectErrno(ftruncate(held, 0), ESTALE, "ftruncate");
                }),
            "");
  EXPECT_EQ(StatusOf("data/hello").st_mode, mode_t{S_IFREG | 0600});
  EXPECT_EQ(StatusOf("data/old").st_mode & 0777, mode_t{0644});
}

// INVARIANT(decided-on-a-copy)
TEST_P(HeldDescriptorsTest, NeverChangeWhatAThreadPutsThereMeanwhile) {
  const struct stat before = StatusOf("secret");
  std::vector<UniqueFd> handed = Opened("secret", O_RDONLY);
  handed.push_back(std::move(Opened("secret", O_WRONLY | O_APPEND)[0]));
  EXPECT_EQ(Run(std::move(handed),
                [&](Faults& faults) {
                  const int granted = open(Path("data/hello").c_str(), O_RDWR | O_CLOEXEC);
                  dup2(granted, kNumber);
                  std::atomic<bool> stop = false;
                  std::thread exchanger([&] {
                    while (!stop) {
                      for (const int fd : {kHanded, granted, kHandedToo, granted})
                        dup2(fd, kNumber);
                    }
                  });
                  const absl::Time deadline = absl::Now() + RaceTime();
                  int changed = 0;
                  while (absl::Now() < deadline) {
                    changed += fchmod(kNumber, 0751) == 0;
                    changed += ftruncate(kNumber, 1) == 0;
                    const timespec times[] = {{1000, 0}, {2000, 0}};
                    changed += futimens(kNumber, times) == 0;
                  }
                  stop = true;
                  exchanger.join();
                  faults.Expect(changed > 0, "the race never let anything be changed");
                }),
            "");
  const struct stat after = StatusOf("secret");
  EXPECT_EQ(after.st_mode, before.st_mode);
  EXPECT_EQ(after.st_mtim.tv_sec, before.st_mtim.tv_sec);
  EXPECT_EQ(Content(Path("secret")), "secret\n");
  EXPECT_EQ(StatusOf("data/hello").st_mode & 0777, mode_t{0751});
}

// INVARIANT(decided-on-a-copy)
TEST_P(HeldDescriptorsTest, NeverLeadBeneathADirectoryThatAThreadPutsThereMeanwhile) {
  files_.Write("data/sub/file", "inside\n");
  files_.Write("other/file", "outside\n");
  // As somebody on the other side of a socket might send it.
  auto [mine, workers] = SocketPair(SOCK_SEQPACKET);
  ASSERT_TRUE(SendDescriptorPacket(mine, "d", 1, {Opened("other", O_RDONLY | O_DIRECTORY)[0]}));
  std::vector<UniqueFd> handed;
  handed.push_back(std::move(workers));
  EXPECT_EQ(Run(std::move(handed),
                [&](Faults& faults) {
                  char byte;
                  PacketDescriptors smuggled;
                  faults.Expect(
                      ReceiveDescriptorPacket(FdRef::FromRaw(kHanded), &byte, 1, smuggled) == 1,
                      "received");
                  const int sub = open(Path("data/sub").c_str(), O_RDONLY | O_DIRECTORY);
                  dup2(sub, kNumber);
                  std::atomic<bool> stop = false;
                  std::thread exchanger([&] {
                    while (!stop) {
                      for (const int fd : {smuggled[0].get(), sub}) dup2(fd, kNumber);
                    }
                  });
                  ReadUntil(absl::Now() + RaceTime(), faults,
                            [&] { return openat(kNumber, "file", O_RDONLY | O_CLOEXEC); });
                  stop = true;
                  exchanger.join();
                }),
            "");
}

TEST_P(HeldDescriptorsTest, WorkingDirectoryStaysWhateverIsClosed) {
  EXPECT_EQ(Run({},
                [&](Faults& faults) {
                  faults.ExpectErrno(chdir(Path("data/sub").c_str()), 0, "chdir");
                  for (int fd = 20; fd < 300; ++fd) close(fd);
                  for (int fd = 20; fd < 256; ++fd) dup2(0, fd);
                  while (dup(0) >= 0) {
                  }
                  faults.Expect(Content("deep") == "errno 24", "no descriptor is left");
                  for (int fd = 20; fd < 256; ++fd) close(fd);
                  faults.Expect(Content("deep") == "deep\n", "deep");
                  char name[4096];
                  faults.Expect(getcwd(name, sizeof name) != nullptr && name == Path("data/sub"),
                                name);
                }),
            "");
}

// Before there is one at its number, a worker can put there what it likes. Only what a supervisor
// has sealed is read: not a FIFO, on which it would wait, nor what the worker may only write.
TEST_P(HeldDescriptorsTest, WorkingDirectoryIsReadFromNothingElse) {
  const std::string forged = std::string(sizeof(uint32_t), '\0') + "/forged";
  files_.Write("data/forged", forged);
  ASSERT_EQ(mkfifo(Path("fifo").c_str(), 0666), 0);
  const UniqueFd memory(memfd_create("handed", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  ASSERT_EQ(write(memory.get(), forged.data(), forged.size()), static_cast<ssize_t>(forged.size()));
  for (int kind = 0; kind < 4; ++kind) {
    std::vector<UniqueFd> handed = Opened("fifo", O_RDWR);
    handed.emplace_back(dup(memory.get()));
    EXPECT_EQ(Run(std::move(handed),
                  [&](Faults& faults) {
                    const int file = open(Path("data/forged").c_str(), O_RDONLY);
                    rlimit limit;
                    getrlimit(RLIMIT_NOFILE, &limit);
                    const int last = static_cast<int>(limit.rlim_cur) - 1;
                    const int placed[] = {kHanded, kHandedToo, file, kTether};
                    faults.Expect(fcntl(placed[kind], F_DUPFD, last) == last, "placed");
                    char name[4096] = "";
                    faults.Expect(getcwd(name, sizeof name) != nullptr && name == std::string("/"),
                                  name);
                  }),
              "")
        << kind;
  }
}

// Where no way leads to them, what takes one is refused, and nobody leaves the place where it
// starts.
TEST(UnseenDescriptorsTest, AreGoodForWhatTheKernelAnswersAlone) {
  Files files;
  WorkerRunner runner({}, {}, DescriptorSight::kNone);
  if (!runner.sandbox().in_force().HasAll({Layer::kLandlock, Layer::kViolationReports})) {
    GTEST_SKIP() << "grants need more";
  }
  EXPECT_EQ(RunSupervised(runner, {FileGrant::WriteTree(files.Path("data"))},
                          [&](Faults& faults) {
                            const std::string data = files.Path("data");
                            faults.Expect(Content(data + "/hello") == "hello\n", "by its name");
                            const int directory = open(data.c_str(), O_RDONLY | O_DIRECTORY);
                            struct stat status;
                            faults.ExpectErrno(fstat(directory, &status), 0, "fstat");
                            faults.ExpectErrno(openat(directory, "hello", O_RDONLY), EPERM,
                                               "openat");
                            faults.ExpectErrno(fchdir(directory), EPERM, "fchdir");
                            faults.ExpectErrno(chdir(data.c_str()), EPERM, "chdir");
                            faults.ExpectErrno(chdir("/"), 0, "where it is");
                            const int hello = open((data + "/hello").c_str(), O_RDWR);
                            faults.ExpectErrno(fchmod(hello, 0600), EPERM, "fchmod");
                            faults.ExpectErrno(ftruncate(hello, 0), EPERM, "ftruncate");
                          }),
            "");
}

}  // namespace
}  // namespace capbroker::sandbox
