// What a hostile worker tries on its supervisor, and what those outside try who rearrange
// the granted tree meanwhile.
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
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
#include "gtest/gtest.h"
#include "sandbox/supervisor/capability_errno.h"
#include "sandbox/supervisor/supervised_fixture.h"

namespace capbroker::sandbox {
namespace {

class SupervisorAttacksTest : public ::testing::TestWithParam<Setting> {
 protected:
  SupervisorAttacksTest() : runner_(GetParam().off, {}, GetParam().most) {}

  void SetUp() override {
    const LayerSet needed = {Layer::kLandlock, Layer::kViolationReports};
    if (!runner_.sandbox().in_force().HasAll(needed))
      GTEST_SKIP() << "grants need " << needed.ToString();
  }

  std::vector<FileGrant> Grants() const { return {FileGrant::ReadTree(Path("data"))}; }
  std::string Run(absl::FunctionRef<void(Faults&)> entry) {
    return RunSupervised(runner_, Grants(), entry);
  }
  std::string Path(const std::string& relative) const { return files_.Path(relative); }

  // Runs `disturb` again and again in a process of its own while `entry` runs in the worker.
  std::string Race(absl::FunctionRef<void()> disturb, absl::FunctionRef<void(Faults&)> entry) {
    const pid_t disturber = fork();
    if (disturber == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      for (;;) disturb();
    }
    std::string faults = RunSupervised(runner_, {FileGrant::WriteTree(Path("data"))}, entry);
    kill(disturber, SIGKILL);
    waitpid(disturber, nullptr, 0);
    return faults;
  }

  Files files_;
  WorkerRunner runner_;
};
INSTANTIATE_TEST_SUITE_P(Layers, SupervisorAttacksTest,
                         ::testing::Values(Setting{}, Setting{kNamespaces}, kHandles,
                                           kHandlesOfOneUser),
                         NameOf);

// INVARIANT(decided-on-a-copy)
TEST_P(SupervisorAttacksTest, PathThatAThreadRewritesNeverOpensSomethingElse) {
  files_.Write("data/aaaaaa", "inside\n");
  files_.Write("secret", "outside\n");
  const std::string inside = Path("data/aaaaaa"), outside = Path("data/../secret");
  EXPECT_EQ(Run([&](Faults& faults) {
              char shared[4096] = {};
              std::strcpy(shared, inside.c_str());
              std::atomic<bool> stop = false;
              std::thread rewriter([&] {
                while (!stop) {
                  std::memcpy(shared, outside.c_str(), outside.size() + 1);
                  std::memcpy(shared, inside.c_str(), inside.size() + 1);
                }
              });
              ReadUntil(absl::Now() + RaceTime(), faults,
                        [&] { return open(shared, O_RDONLY | O_CLOEXEC); });
              stop = true;
              rewriter.join();
            }),
            "");
}

// INVARIANT(beneath-means-beneath)
TEST_P(SupervisorAttacksTest, DirectoryExchangedWithASymlinkGivesNothingFromOutside) {
  files_.Write("data/sub/file", "inside\n");
  files_.Write("other/file", "outside\n");
  ASSERT_EQ(symlink("../other", Path("data/way").c_str()), 0);
  const std::string sub = Path("data/sub"), way = Path("data/way"), file = sub + "/file";
  EXPECT_EQ(Race(
                [&] {
                  syscall(SYS_renameat2, AT_FDCWD, sub.c_str(), AT_FDCWD, way.c_str(),
                          2 /* RENAME_EXCHANGE */);
                },
                [&](Faults& faults) {
                  ReadUntil(absl::Now() + RaceTime(), faults,
                            [&] { return open(file.c_str(), O_RDONLY | O_CLOEXEC); });
                }),
            "");
}

// INVARIANT(beneath-means-beneath)
TEST_P(SupervisorAttacksTest, DirectoryMovedOutAndInGivesNothingByDotDot) {
  files_.Write("data/file", "inside\n");
  files_.Write("file", "outside\n");
  ASSERT_EQ(mkdir(Path("data/a").c_str(), 0755), 0);
  ASSERT_EQ(mkdir(Path("data/a/b").c_str(), 0755), 0);
  const std::string in = Path("data/a"), out = Path("a");
  EXPECT_EQ(Race(
                [&] {
                  rename(in.c_str(), out.c_str());
                  rename(out.c_str(), in.c_str());
                },
                [&](Faults& faults) {
                  int b = -1;
                  while (b < 0) b = open(Path("data/a/b").c_str(), O_RDONLY | O_DIRECTORY);
                  const absl::Time deadline = absl::Now() + RaceTime();
                  // By the name, and from the descriptor.
                  ReadUntil(absl::Now() + RaceTime() / 2, faults, [&] {
                    return open(Path("data/a/b/../../file").c_str(), O_RDONLY | O_CLOEXEC);
                  });
                  ReadUntil(deadline, faults,
                            [&] { return openat(b, "../../file", O_RDONLY | O_CLOEXEC); });
                }),
            "");
}

// INVARIANT(beneath-means-beneath)
TEST_P(SupervisorAttacksTest, CreatingThroughExchangedDirectoriesStaysBeneath) {
  ASSERT_EQ(symlink("../other", Path("data/way").c_str()), 0);
  const std::string sub = Path("data/sub"), way = Path("data/way"), made = sub + "/made";
  EXPECT_EQ(Race(
                [&] {
                  syscall(SYS_renameat2, AT_FDCWD, sub.c_str(), AT_FDCWD, way.c_str(), 2);
                  unlink(made.c_str());
                },
                [&](Faults&) {
                  const absl::Time deadline = absl::Now() + RaceTime();
                  while (absl::Now() < deadline) {
                    close(open(made.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
                  }
                }),
            "");
  EXPECT_EQ(Content(Path("other/made")), "errno 2");
}

// INVARIANT(beneath-means-beneath)
TEST_P(SupervisorAttacksTest, RemovingThroughExchangedDirectoriesStaysBeneath) {
  ASSERT_EQ(symlink("../other", Path("data/way").c_str()), 0);
  const std::string sub = Path("data/sub"), way = Path("data/way"), file = sub + "/file";
  EXPECT_EQ(Race(
                [&] {
                  syscall(SYS_renameat2, AT_FDCWD, sub.c_str(), AT_FDCWD, way.c_str(), 2);
                  close(open(Path("data/sub/file").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
                },
                [&](Faults& faults) {
                  const absl::Time deadline = absl::Now() + RaceTime();
                  int removed = 0;
                  while (absl::Now() < deadline) {
                    removed += unlink(file.c_str()) == 0;
                    removed += rename(file.c_str(), Path("data/taken").c_str()) == 0;
                  }
                  faults.Expect(removed > 0, "the race never let anything be removed");
                }),
            "");
  EXPECT_EQ(Content(Path("other/file")), "other\n");
}

TEST_P(SupervisorAttacksTest, SmuggledDirectoryIsGoodForNothing) {
  // As somebody on the other side of a socket might send it.
  auto [mine, workers] = SocketPair(SOCK_STREAM);
  const UniqueFd outside(open(Path("other").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  char byte = 'd';
  iovec data = {.iov_base = &byte, .iov_len = 1};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr packet = {};
  packet.msg_iov = &data;
  packet.msg_iovlen = 1;
  packet.msg_control = control;
  packet.msg_controllen = sizeof control;
  cmsghdr* header = CMSG_FIRSTHDR(&packet);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof(int));
  const int number = outside.get();
  std::memcpy(CMSG_DATA(header), &number, sizeof number);
  ASSERT_EQ(sendmsg(mine.get(), &packet, 0), 1);

  Start start;
  start.supervision.emplace().files = Grants();
  start.descriptors.push_back({std::move(workers), 4});
  RunningWorker worker = runner_.Start(
      [&] {
        Faults faults;
        std::memset(control, 0, sizeof control);
        faults.Expect(recvmsg(4, &packet, 0) == 1, "received");
        int directory;
        std::memcpy(&directory, CMSG_DATA(CMSG_FIRSTHDR(&packet)), sizeof directory);
        struct stat status;
        char target[10];
        faults.ExpectErrno(openat(directory, "file", O_RDONLY), kEnotcapable, "open");
        faults.ExpectErrno(openat(directory, ".", O_RDONLY), kEnotcapable, "itself");
        faults.ExpectErrno(fstatat(directory, "file", &status, 0), kEnotcapable, "stat");
        faults.ExpectErrno(faccessat(directory, "file", F_OK, 0), kEnotcapable, "access");
        faults.ExpectErrno(readlinkat(directory, "file", target, 10), kEnotcapable, "readlink");
        faults.ExpectErrno(fchdir(directory), kEnotcapable, "fchdir");
        // In the place of one that was granted.
        const int granted = open(Path("data/sub").c_str(), O_RDONLY | O_DIRECTORY);
        faults.ExpectErrno(dup2(directory, granted), 0, "dup2");
        faults.ExpectErrno(openat(granted, "file", O_RDONLY), kEnotcapable, "dup");
        const std::string& text = faults.text();
        return write(kTether, text.data(), text.size()) < 0 ? 1 : 0;
      },
      std::move(start));
  EXPECT_EQ(ContentOf(worker.tether.get()), "");
  EXPECT_EQ(Collect(std::move(worker)).exit_code(), 0);
}

TEST_P(SupervisorAttacksTest, DirectoryThatWasRenamedIsNotTakenForItsSuccessor) {
  files_.Write("data/sub/file", "inside\n");
  Start start;
  start.supervision.emplace().files = Grants();
  RunningWorker worker = runner_.Start(
      [&] {
        const int sub = open(Path("data/sub").c_str(), O_RDONLY | O_DIRECTORY);
        char byte = 'o';
        if (write(kTether, &byte, 1) != 1 || read(kTether, &byte, 1) != 1) return 1;
        if (openat(sub, "file", O_RDONLY) >= 0 || errno != ESTALE) return 2;
        return 0;
      },
      std::move(start));
  char byte;
  ASSERT_EQ(read(worker.tether.get(), &byte, 1), 1);
  ASSERT_EQ(rename(Path("data/sub").c_str(), Path("data/moved").c_str()), 0);
  ASSERT_EQ(mkdir(Path("data/sub").c_str(), 0755), 0);
  files_.Write("data/sub/file", "successor\n");
  ASSERT_EQ(write(worker.tether.get(), &byte, 1), 1);
  EXPECT_EQ(Collect(std::move(worker)).exit_code(), 0);
}

TEST_P(SupervisorAttacksTest, FileReplacedByASymlinkShowsNothingOfWhereThatLeads) {
  Start start;
  start.supervision.emplace().files = {FileGrant::ReadFile(Path("data/hello"))};
  RunningWorker worker = runner_.Start(
      [&] {
        char byte = 'o';
        if (write(kTether, &byte, 1) != 1 || read(kTether, &byte, 1) != 1) return 1;
        struct stat status;
        if (stat(Path("data/hello").c_str(), &status) == 0 || errno != ELOOP) return 2;
        if (open(Path("data/hello").c_str(), O_RDONLY) >= 0 || errno != ELOOP) return 3;
        return 0;
      },
      std::move(start));
  char byte;
  ASSERT_EQ(read(worker.tether.get(), &byte, 1), 1);
  ASSERT_EQ(unlink(Path("data/hello").c_str()), 0);
  ASSERT_EQ(symlink("sub/deep", Path("data/hello").c_str()), 0);
  ASSERT_EQ(write(worker.tether.get(), &byte, 1), 1);
  EXPECT_EQ(Collect(std::move(worker)).exit_code(), 0);
}

TEST_P(SupervisorAttacksTest, BadPointersAndEndlessPathsAreErrorsOfTheCall) {
  EXPECT_EQ(
      Run([&](Faults& faults) {
        // Not through the C library, of which a sanitizer's part looks at the memory itself.
        const auto open_at = [](uint64_t address) { return syscall(SYS_open, address, O_RDONLY); };
        for (uint64_t address : {uint64_t{0}, uint64_t{1}, ~uint64_t{0}, ~uint64_t{0} - 4096,
                                 uint64_t{1} << 63, uint64_t{0x7ffffffff000}}) {
          faults.ExpectErrno(open_at(address), EFAULT, absl::StrCat("open ", address));
        }
        // The last byte of a page, and no end on it.
        char* pages = static_cast<char*>(
            mmap(nullptr, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
        munmap(pages + 4096, 4096);
        pages[4095] = 'x';
        faults.ExpectErrno(open_at(reinterpret_cast<uint64_t>(pages + 4095)), EFAULT, "no end");
        const std::string hello = Path("data/hello");
        char* last = pages + 4096 - hello.size() - 1;
        std::memcpy(last, hello.c_str(), hello.size() + 1);
        faults.ExpectErrno(open(last, O_RDONLY), 0, "an end at the very end");
        const std::string endless(100000, 'a');
        faults.ExpectErrno(open(endless.c_str(), O_RDONLY), ENAMETOOLONG, "endless");
        const std::string longest = Path("data/") + std::string(300, 'a');
        faults.ExpectErrno(open(longest.c_str(), O_RDONLY), ENAMETOOLONG, "component");
        std::string deep = Path("data");
        while (deep.size() + 2 < 4095) deep += "/.";
        faults.ExpectErrno(open(deep.c_str(), O_RDONLY), 0, "dots");
        faults.ExpectErrno(syscall(SYS_stat, hello.c_str(), 1), EFAULT, "result");
        faults.ExpectErrno(syscall(SYS_stat, hello.c_str(), "read-only"), EFAULT, "constant");
        faults.ExpectErrno(syscall(SYS_getcwd, 1, 4096), EFAULT, "getcwd");
        for (int fd : {-1, -100, -101, 1 << 30, 0x7fffffff}) {
          faults.Expect(openat(fd, "hello", O_RDONLY) < 0, absl::StrCat("fd ", fd));
        }
      }),
      "");
}

TEST_P(SupervisorAttacksTest, ManyThreadsAtOnceGetTheirOwnAnswers) {
  for (int i = 0; i < 8; ++i) files_.Write(absl::StrCat("data/n", i), std::to_string(i));
  EXPECT_EQ(Run([&](Faults& faults) {
              std::atomic<int> wrong = 0;
              std::vector<std::thread> threads;
              for (int i = 0; i < 8; ++i) {
                threads.emplace_back([&, i] {
                  const std::string path = Path(absl::StrCat("data/n", i));
                  const std::string content = std::to_string(i);
                  for (int round = 0; round < 500; ++round) wrong += Content(path) != content;
                });
              }
              for (std::thread& thread : threads) thread.join();
              faults.Expect(wrong == 0, absl::StrCat(wrong.load(), " wrong answers"));
            }),
            "");
}

TEST_P(SupervisorAttacksTest, FullDescriptorTableIsTheWorkersError) {
  EXPECT_EQ(Run([&](Faults& faults) {
              int got = 0;
              while (open(Path("data/hello").c_str(), O_RDONLY) >= 0) ++got;
              faults.Expect(errno == EMFILE && got > 16, absl::StrCat(got, " errno ", errno));
              close(5);
              faults.ExpectErrno(open(Path("data/hello").c_str(), O_RDONLY), 0, "after a close");
            }),
            "");
}

TEST_P(SupervisorAttacksTest, WorkerThatDiesInTheMiddleOfCallsIsReportedAsEver) {
  for (int i = 0; i < 20; ++i) {
    Start start;
    start.supervision.emplace().files = Grants();
    const Story story = runner_.Run(
        [&] {
          for (int thread = 0; thread < 4; ++thread) {
            std::thread([&] {
              for (;;) close(open(Path("data/hello").c_str(), O_RDONLY));
            }).detach();
          }
          usleep(500 * static_cast<useconds_t>(i));
          _exit(7);
          return 0;
        },
        std::move(start));
    EXPECT_EQ(story.exit_code(), 7) << story.text;
  }
}

// A FIFO without a writer: the supervisor waits in its open.
TEST_P(SupervisorAttacksTest, FifoStallsItsOwnWorkerOnlyAndCanBeKilled) {
  ASSERT_EQ(mkfifo(Path("data/fifo").c_str(), 0644), 0);
  Start start;
  start.supervision.emplace().files = Grants();
  RunningWorker stuck = runner_.Start(
      [&] {
        open(Path("data/fifo").c_str(), O_RDONLY);
        return 0;
      },
      std::move(start));
  ASSERT_EQ(stuck.Next().value_or(Report{}).kind, Report::Kind::kStarted);
  // Another is served meanwhile.
  EXPECT_EQ(Run([&](Faults& faults) {
              faults.Expect(Content(Path("data/hello")) == "hello\n", "hello");
            }),
            "");
  EXPECT_FALSE(stuck.IsGone(absl::Milliseconds(100)));
  stuck.lifeline.Reset();
  EXPECT_TRUE(stuck.IsGone());
  EXPECT_FALSE(Collect(std::move(stuck)).timed_out);
  // Its writer lets it go on.
  Start again;
  again.supervision.emplace().files = Grants();
  RunningWorker waiting = runner_.Start(
      [&] {
        const int fifo = open(Path("data/fifo").c_str(), O_RDONLY);
        char byte;
        return read(fifo, &byte, 1) == 1 ? 0 : 1;
      },
      std::move(again));
  const UniqueFd writer(open(Path("data/fifo").c_str(), O_WRONLY | O_CLOEXEC));
  ASSERT_EQ(write(writer.get(), "x", 1), 1);
  EXPECT_EQ(Collect(std::move(waiting)).exit_code(), 0);
}

TEST_P(SupervisorAttacksTest, TimeOfTheSupervisorIsBounded) {
  if (!GetParam().off.empty()) GTEST_SKIP() << "a bound of the process, whatever the layers";
  Start start;
  start.supervision.emplace().files = Grants();
  start.bounds.cpu_time = absl::Seconds(1);
  const absl::Time begin = absl::Now();
  const Story story = runner_.Run(
      [&] {
        std::string path = Path("data");
        while (path.size() + 8 < 4095) path += "/sub/..";
        for (;;) close(open(path.c_str(), O_RDONLY));
        return 0;
      },
      std::move(start));
  EXPECT_GT(story.signal(), 0) << story.text;
  EXPECT_LT(absl::Now() - begin, absl::Seconds(45)) << "of a busy machine";
}

TEST_P(SupervisorAttacksTest, SupervisorIsOutOfTheWorkersReach) {
  // With a PID namespace it is number 2, and without one somewhere below the worker.
  EXPECT_EQ(Run([](Faults& faults) {
              for (pid_t pid = getpid() - 3; pid <= getpid() + 1; ++pid) {
                if (pid == getpid() || pid <= 0) continue;
                faults.ExpectErrno(kill(pid, SIGKILL), EPERM, absl::StrCat("kill ", pid));
              }
              faults.ExpectErrno(prctl(PR_SET_DUMPABLE, 0, 0, 0, 0), EPERM, "dumpable");
              faults.Expect(Content("/proc/2/mem") == absl::StrCat("errno ", kEnotcapable), "mem");
            }),
            "");
}

}  // namespace
}  // namespace capbroker::sandbox
