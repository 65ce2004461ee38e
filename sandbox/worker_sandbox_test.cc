// What an honest worker can do, and what is told of it.
#include "sandbox/worker_sandbox.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <condition_variable>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/status_matchers.h"
#include "gtest/gtest.h"
#include "sandbox/layers/identity.h"
#include "sandbox/worker_runner.h"

namespace capbroker::sandbox {
namespace {

using ::capbroker::testing::StatusIs;
using ::testing::HasSubstr;

WorkerRunner& Runner() {
  static WorkerRunner* const runner = new WorkerRunner();
  return *runner;
}

int OpenDescriptorsUpTo(int end) {
  int open = 0;
  for (int fd = 0; fd < end; ++fd) open += fcntl(fd, F_GETFD) >= 0;
  return open;
}

TEST(WorkerSandboxTest, ReportsTheLayersInForceThenTheExitCode) {
  const Story story = Runner().Run([] { return 42; });
  ASSERT_TRUE(story.started.has_value()) << story.text;
  EXPECT_EQ(story.started->layer_set(), Runner().sandbox().in_force());
  EXPECT_TRUE(story.started->layer_set().HasAll(kRequired)) << story.text;
  EXPECT_EQ(story.exit_code(), 42) << story.text;
  EXPECT_FALSE(story.violation.has_value());
  EXPECT_FALSE(story.timed_out);
}

TEST(WorkerSandboxTest, ReportsSignalsAsThemselves) {
  EXPECT_EQ(Runner().Run([]() -> int { std::abort(); }).signal(), SIGABRT);
  EXPECT_EQ(Runner().Run([] { return raise(SIGTERM); }).signal(), SIGTERM);
  EXPECT_EQ(Runner().Run([] { return raise(SIGKILL); }).signal(), SIGKILL);
  EXPECT_EQ(Runner()
                .Run([] {
                  // What a wild write comes to, without what sanitizers make of
                  // one.
                  signal(SIGSEGV, SIG_DFL);
                  return raise(SIGSEGV);
                })
                .signal(),
            SIGSEGV);
}

TEST(WorkerSandboxTest, ReportsWhatAWorkerUsed) {
  const Story story = Runner().Run([] {
    std::vector<char> memory(20 << 20, 1);
    const absl::Time end = absl::Now() + absl::Milliseconds(100);
    while (absl::Now() < end) memory[memory.size() / 2] += 1;
    return 0;
  });
  ASSERT_EQ(story.exit_code(), 0) << story.text;
  EXPECT_GT(story.exited->user_microseconds + story.exited->system_microseconds, 20000u);
  EXPECT_GT(story.exited->peak_memory_bytes, 20u << 20);
}

TEST(WorkerSandboxTest, RunsThreads) {
  const Story story = Runner().Run([] {
    std::atomic<int> sum = 0;
    std::mutex mutex;
    std::condition_variable all_here;
    int here = 0;
    std::vector<std::thread> threads;
    for (int i = 0; i < 8; ++i) {
      threads.emplace_back([&, i] {
        std::unique_lock<std::mutex> lock(mutex);
        if (++here == 8) all_here.notify_all();
        all_here.wait(lock, [&] { return here == 8; });
        sum += i;
      });
    }
    for (std::thread& thread : threads) thread.join();
    return sum == 28 ? 0 : 1;
  });
  EXPECT_EQ(story.exit_code(), 0) << story.text;
}

TEST(WorkerSandboxTest, HasTimeMemoryAndPolling) {
  const Story story = Runner().Run([] {
    const absl::Time before = absl::Now();
    absl::SleepFor(absl::Milliseconds(5));
    if (absl::Now() - before < absl::Milliseconds(5)) return 1;
    auto large = std::make_unique<char[]>(64 << 20);
    std::memset(large.get(), 1, 64 << 20);
    int ends[2];
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0 || write(ends[1], "x", 1) != 1) return 2;
    pollfd event = {.fd = ends[0], .events = POLLIN, .revents = 0};
    if (poll(&event, 1, 1000) != 1) return 3;
    struct stat status;
    if (fstat(ends[0], &status) != 0 || !S_ISFIFO(status.st_mode)) return 4;
    return 0;
  });
  EXPECT_EQ(story.exit_code(), 0) << story.text;
}

TEST(WorkerSandboxTest, TalksThroughItsGrantedSocket) {
  RunningWorker worker = Runner().Start([] {
    char text[8];
    const ssize_t size = recv(kTether, text, sizeof text, 0);
    return size == 4 && send(kTether, "pong", 4, MSG_NOSIGNAL) == 4 ? 0 : 1;
  });
  ASSERT_EQ(send(worker.tether.get(), "ping", 4, 0), 4);
  char answer[8];
  EXPECT_EQ(recv(worker.tether.get(), answer, sizeof answer, 0), 4);
  EXPECT_EQ(Collect(std::move(worker)).exit_code(), 0);
}

TEST(WorkerSandboxTest, HoldsExactlyTheStatedDescriptors) {
  // Descriptors of the zygote's, low and high, with and without close-on-exec.
  const UniqueFd low(open("/dev/zero", O_RDONLY));
  const UniqueFd high(fcntl(low.get(), F_DUPFD, 700));
  ASSERT_TRUE(high.valid());
  const Story story = Runner().Run([] { return OpenDescriptorsUpTo(4096); });
  EXPECT_EQ(story.exit_code(), 4) << "0 to 2 and the tether; " << story.text;
}

TEST(WorkerSandboxTest, FindsNullOnStandardDescriptorsThatAreNotGiven) {
  const Story story = Runner().Run([] {
    char byte;
    if (read(0, &byte, 1) != 0) return 1;
    if (write(1, "x", 1) != 1 || write(2, "x", 1) != 1) return 2;
    return 0;
  });
  EXPECT_EQ(story.exit_code(), 0) << story.text;
}

TEST(WorkerSandboxTest, PlacesDescriptorsThatCrossEachOther) {
  // Each is wanted where another one is.
  auto [a, a_other] = SocketPair(SOCK_STREAM);
  auto [b, b_other] = SocketPair(SOCK_STREAM);
  const int a_number = a.get(), b_number = b.get();
  Start start;
  start.descriptors.push_back({std::move(a), b_number});
  start.descriptors.push_back({std::move(b), a_number});
  RunningWorker worker = Runner().Start(
      [&] { return write(b_number, "a", 1) == 1 && write(a_number, "b", 1) == 1 ? 0 : 1; },
      std::move(start));
  char byte = 0;
  EXPECT_EQ(read(a_other.get(), &byte, 1), 1);
  EXPECT_EQ(byte, 'a');
  EXPECT_EQ(read(b_other.get(), &byte, 1), 1);
  EXPECT_EQ(byte, 'b');
  EXPECT_EQ(Collect(std::move(worker)).exit_code(), 0);
}

TEST(WorkerSandboxTest, StartsWithDefaultSignalsAndNoMask) {
  signal(SIGPIPE, SIG_IGN);
  signal(SIGUSR1, [](int) {});
  sigset_t blocked;
  sigemptyset(&blocked);
  sigaddset(&blocked, SIGTERM);
  sigprocmask(SIG_BLOCK, &blocked, nullptr);
  const Story story = Runner().Run([] {
    struct sigaction pipe_action, user_action;
    sigaction(SIGPIPE, nullptr, &pipe_action);
    sigaction(SIGUSR1, nullptr, &user_action);
    sigset_t mask;
    sigprocmask(SIG_SETMASK, nullptr, &mask);
    return pipe_action.sa_handler == SIG_DFL && user_action.sa_handler == SIG_DFL &&
                   sigisemptyset(&mask)
               ? 0
               : 1;
  });
  signal(SIGPIPE, SIG_DFL);
  signal(SIGUSR1, SIG_DFL);
  sigprocmask(SIG_UNBLOCK, &blocked, nullptr);
  EXPECT_EQ(story.exit_code(), 0) << story.text;
}

TEST(WorkerSandboxTest, HasNoIdentityWorthHaving) {
  const LayerSet layers = Runner().sandbox().in_force();
  const Story story = Runner().Run([&] {
    if (layers.Has(Layer::kUserNamespace) && getuid() == 0) return 1;
    if (layers.Has(Layer::kUnprivilegedUid) &&
        (getuid() < kFirstWorkerId || geteuid() != getuid() || getgid() != getuid())) {
      return 2;
    }
    if (layers.Has(Layer::kNoSupplementaryGroups) && !HasNoSupplementaryGroups()) return 3;
    for (int capability = 0; capability <= 40; ++capability) {
      if (HasCapability(capability)) return 4;
    }
    if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1) return 5;
    if (prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) != 0) return 6;
    if (umask(0) != 077) return 7;
    if (getsid(0) != getppid() || getpgrp() != getpid()) return 8;
    if (layers.Has(Layer::kPidNamespace) && (getpid() != 2 || getppid() != 1)) return 9;
    return 0;
  });
  EXPECT_EQ(story.exit_code(), 0) << story.text;
}

TEST(WorkerSandboxTest, MakesCodeOnlyIfGranted) {
  for (const bool granted : {true, false}) {
    Start start;
    start.makes_code = granted;
    const Story story = Collect(Runner().Start(
        [granted] {
          void* const memory =
              mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
          if (memory == MAP_FAILED) return 1;
#if defined(__x86_64__)
          constexpr unsigned char kReturn7[] = {0xb8, 7, 0, 0, 0, 0xc3};
#else
          constexpr uint32_t kReturn7[] = {0x528000e0, 0xd65f03c0};
#endif
          std::memcpy(memory, kReturn7, sizeof kReturn7);
          __builtin___clear_cache(static_cast<char*>(memory), static_cast<char*>(memory) + 64);
          if (mprotect(memory, 4096, PROT_READ | PROT_EXEC) != 0) return granted ? 2 : 0;
          return granted && reinterpret_cast<int (*)()>(memory)() == 7 ? 0 : 3;
        },
        std::move(start)));
    EXPECT_EQ(story.exit_code(), 0) << granted << story.text;
  }
}

TEST(WorkerSandboxTest, GivesEachWorkerAUidOfItsOwn) {
  if (!Runner().sandbox().in_force().Has(Layer::kUnprivilegedUid)) {
    GTEST_SKIP() << "needs a zygote that may assign uids";
  }
  uid_t uids[2];
  for (uid_t& uid : uids) {
    RunningWorker worker = Runner().Start([] {
      const uid_t own = getuid();
      return write(kTether, &own, sizeof own) == sizeof own ? 0 : 1;
    });
    ASSERT_EQ(read(worker.tether.get(), &uid, sizeof uid), static_cast<ssize_t>(sizeof uid));
    EXPECT_EQ(Collect(std::move(worker)).exit_code(), 0);
  }
  EXPECT_NE(uids[0], uids[1]);
}

TEST(WorkerSandboxTest, WritesOnlyItsOwnBufferedOutput) {
  auto [reader, writer] = SocketPair(SOCK_STREAM);
  Start start;
  start.descriptors.push_back({std::move(writer), 1});
  std::fflush(stdout);
  std::printf("[   note   ] buffered by the application\n");
  const Story story = Runner().Run(
      [] {
        std::printf("of the worker");
        return 0;
      },
      std::move(start));
  EXPECT_EQ(story.exit_code(), 0) << story.text;
  char text[256] = {};
  EXPECT_GT(read(reader.get(), text, sizeof text - 1), 0);
  EXPECT_STREQ(text, "of the worker");
}

TEST(WorkerSandboxTest, RunsManyWorkersAtOnce) {
  std::vector<RunningWorker> workers;
  for (int i = 0; i < 20; ++i) workers.push_back(Runner().Start([i] { return i; }));
  for (int i = 0; i < 20; ++i) EXPECT_EQ(Collect(std::move(workers[i])).exit_code(), i);
}

TEST(WorkerSandboxTest, EndsACpuHogAtItsBound) {
  Start start;
  start.bounds.cpu_time = absl::Milliseconds(500);
  const Story story = Runner().Run(
      [] {
        while (absl::Now() > absl::UnixEpoch()) {
        }
        return 0;
      },
      std::move(start));
  EXPECT_EQ(story.signal(), SIGXCPU) << story.text;
}

TEST(WorkerSandboxTest, BoundsPrivateAndSharedMemory) {
  Start start;
  start.bounds.memory_bytes = 64 << 20;
  const Story story = Runner().Run(
      [] {
        constexpr size_t kChunk = 1 << 20;
        uint64_t got = 0;
        while (got < uint64_t{16} << 30) {
          void* chunk =
              mmap(nullptr, kChunk, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
          if (chunk == MAP_FAILED) break;
          got += kChunk;
        }
        if (got > 70 << 20 || got < 30 << 20) return 1;
        got = 0;
        while (got < uint64_t{16} << 30) {
          void* chunk =
              mmap(nullptr, kChunk, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
          if (chunk == MAP_FAILED) return 0;
          got += kChunk;
        }
        return 2;
      },
      std::move(start));
  EXPECT_EQ(story.exit_code(), 0) << story.text;
}

TEST(WorkerSandboxTest, BoundsDescriptors) {
  Start start;
  start.bounds.descriptors = 40;
  const Story story = Runner().Run(
      [] {
        while (dup(0) >= 0) {
        }
        return errno == EMFILE ? OpenDescriptorsUpTo(4096) : 1;
      },
      std::move(start));
  EXPECT_EQ(story.exit_code(), 40) << story.text;
}

TEST(WorkerSandboxTest, BoundsTheSizeOfFiles) {
  char path[] = "/tmp/capbroker-file-XXXXXX";
  UniqueFd file(mkostemp(path, O_CLOEXEC));
  ASSERT_TRUE(file.valid());
  unlink(path);
  Start start;
  start.bounds.file_size_bytes = 4096;
  start.descriptors.push_back({std::move(file), 5});
  const Story story = Runner().Run(
      [] {
        const std::vector<char> data(5000);
        if (write(5, data.data(), data.size()) != 4096) return 1;
        return static_cast<int>(write(5, data.data(), 1));
      },
      std::move(start));
  EXPECT_EQ(story.signal(), SIGXFSZ) << story.text;
}

TEST(WorkerSandboxTest, MakesSealableMemoryOnlyWhenAllowed) {
  Start start;
  start.resizes_files = true;
  const Story story = Runner().Run(
      [] {
        constexpr unsigned kNoExec = 8;  // MFD_NOEXEC_SEAL
        const int fd =
            static_cast<int>(syscall(SYS_memfd_create, "m", kNoExec | MFD_ALLOW_SEALING));
        return fd >= 0 && ftruncate(fd, 100) == 0 && fcntl(fd, F_ADD_SEALS, F_SEAL_GROW) == 0 ? 0
                                                                                              : 1;
      },
      std::move(start));
  EXPECT_EQ(story.exit_code(), 0) << story.text;
}

TEST(WorkerSandboxTest, RefusesDescriptorsThatAreMoreThanThemselves) {
  const auto refused = [](UniqueFd fd) {
    Start start;
    start.descriptors.push_back({std::move(fd), 5});
    return Runner().sandbox().Fork(std::move(start), [] { return 0; }).status();
  };
  const absl::StatusCode invalid = absl::StatusCode::kInvalidArgument;
  EXPECT_THAT(refused(UniqueFd(open("/tmp", O_RDONLY | O_CLOEXEC))),
              StatusIs(invalid, HasSubstr("a directory")));
  EXPECT_THAT(refused(UniqueFd(open("/dev/null", O_PATH | O_CLOEXEC))),
              StatusIs(invalid, HasSubstr("O_PATH")));
  EXPECT_THAT(refused(UniqueFd(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0))),
              StatusIs(invalid, HasSubstr("can send to any address")));
  EXPECT_THAT(refused(UniqueFd(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0))),
              StatusIs(invalid, HasSubstr("can send to any address")));
}

TEST(WorkerSandboxTest, RefusesImpossiblePlaces) {
  const auto refused = [](std::vector<int> numbers) {
    Start start;
    for (int number : numbers) {
      start.descriptors.push_back({UniqueFd(open("/dev/null", O_RDWR | O_CLOEXEC)), number});
    }
    return Runner().sandbox().Fork(std::move(start), [] { return 0; }).status();
  };
  EXPECT_THAT(refused({5, 5}), StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(refused({-1}), StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(refused({128}), StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST(WorkerSandboxTest, RefusesToStartFromAProcessWithThreads) {
  std::atomic<bool> stop = false;
  std::thread other([&] {
    while (!stop) absl::SleepFor(absl::Milliseconds(1));
  });
  EXPECT_THAT(Runner().sandbox().Fork({}, [] { return 0; }).status(),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("more than one thread")));
  EXPECT_THAT(WorkerSandbox::Prepare(kRequired).status(),
              StatusIs(absl::StatusCode::kFailedPrecondition));
  stop = true;
  other.join();
}

TEST(WorkerSandboxTest, RefusesToStartFromAForkOfItsZygote) {
  WorkerSandbox& sandbox = Runner().sandbox();
  const pid_t child = fork();
  if (child == 0) {
    const absl::StatusCode code = sandbox.Fork({}, [] { return 0; }).status().code();
    _exit(code == absl::StatusCode::kFailedPrecondition ? 0 : 1);
  }
  int status = -1;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

// A worker sends one descriptor on its way into confinement, and may have few itself.
TEST(WorkerSandboxTest, StartsWhileItsUserHasManyDescriptorsOnTheirWay) {
  auto [unread, flooder] = SocketPair(SOCK_SEQPACKET);
  for (int sent = 0; sent < 600; sent += 10) {
    iovec part = {const_cast<char*>("x"), 1};
    alignas(cmsghdr) char control[CMSG_SPACE(10 * sizeof(int))] = {};
    msghdr message = {};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    cmsghdr* const c = CMSG_FIRSTHDR(&message);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(10 * sizeof(int));  // of zeroes: the standard input
    ASSERT_EQ(sendmsg(flooder.get(), &message, 0), 1);
  }
  EXPECT_EQ(Runner().Run([] { return 7; }).exit_code(), 7);
}

// INVARIANT(fail-closed)
TEST(WorkerSandboxTest, RefusesToPrepareWithoutARequiredLayer) {
  EXPECT_THAT(WorkerSandbox::Prepare({Layer::kLandlock}, {Layer::kLandlock}).status(),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("landlock: switched off")));
  EXPECT_THAT(WorkerSandbox::Prepare({}, {Layer::kNoNewPrivileges}).status(),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("cannot be switched off")));
}

// INVARIANT(fail-closed)
TEST(WorkerSandboxTest, ReportsTheStepThatFailed) {
#ifdef __SANITIZE_ADDRESS__
  GTEST_SKIP() << "the shadow memory is beyond an executed worker's bound: its stack cannot grow";
#endif
  Start start;
  auto [mine, workers] = SocketPair(SOCK_SEQPACKET);
  start.report = std::move(workers);
  // Not a program: the exec fails, after everything else.
  UniqueFd not_a_program(open("/dev/null", O_PATH | O_CLOEXEC));
  ASSERT_OK_AND_ASSIGN(Started started, Runner().sandbox().Execute(
                                            std::move(start), std::move(not_a_program), {"x"}, {}));
  char packet[sizeof(Report)];
  ASSERT_EQ(read(mine.get(), packet, sizeof packet), static_cast<ssize_t>(sizeof packet));
  ASSERT_OK_AND_ASSIGN(Report report, ParseReport({packet, sizeof packet}));
  EXPECT_EQ(report.kind, Report::Kind::kStartFailed);
  EXPECT_EQ(report.step, Step::kExecute);
  EXPECT_EQ(report.error_number, EACCES);
  EXPECT_EQ(read(mine.get(), packet, sizeof packet), 0) << "nothing after a failed start";
  ASSERT_OK(started.init.Wait());
}

}  // namespace
}  // namespace capbroker::sandbox
