// What a hostile forked worker tries and does not survive, and by which name
// the report calls it.
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <vector>

#include "gtest/gtest.h"
#include "sandbox/worker_runner.h"

namespace capbroker::sandbox {
namespace {

WorkerRunner& Runner() {
  static WorkerRunner* const runner = new WorkerRunner();
  return *runner;
}

// An attack that ends the worker, and the call that the report names.
struct Deadly {
  const char* call;
  void (*attack)();
};

// INVARIANT(default-deny)
void ExpectAllDie(const std::vector<Deadly>& attacks) {
  const bool reports = Runner().sandbox().in_force().Has(Layer::kViolationReports);
  for (const Deadly& attack : attacks) {
    const Story story = Runner().Run([&] {
      attack.attack();
      return 99;
    });
    EXPECT_EQ(story.signal(), reports ? SIGKILL : SIGSYS) << attack.call << "\n" << story.text;
    EXPECT_EQ(story.violated_call(), reports ? attack.call : "") << story.text;
  }
}

TEST(WorkerViolationsTest, DiesWhenReachingIntoOthers) {
  ExpectAllDie({
      {"ptrace", [] { ptrace(PTRACE_TRACEME, 0, nullptr, nullptr); }},
      {"process_vm_readv",
       [] { TrySystemCall("process_vm_readv", getppid(), nullptr, 0, nullptr, 0, 0); }},
      {"process_vm_writev",
       [] { TrySystemCall("process_vm_writev", getppid(), nullptr, 0, nullptr, 0, 0); }},
      {"pidfd_getfd", [] { TrySystemCall("pidfd_getfd", 0, 0, 0); }},
      {"kcmp", [] { TrySystemCall("kcmp", 1, 2, 0, 0, 0); }},
  });
}

TEST(WorkerViolationsTest, DiesWhenRebuildingTheWalls) {
  ExpectAllDie({
      {"unshare", [] { TrySystemCall("unshare", CLONE_NEWUSER); }},
      {"setns", [] { TrySystemCall("setns", 0, 0); }},
      {"mount", [] { TrySystemCall("mount", "none", "/", "tmpfs", 0, nullptr); }},
      {"umount2", [] { TrySystemCall("umount2", "/", 2); }},
      {"chroot", [] { TrySystemCall("chroot", "."); }},
      {"pivot_root", [] { TrySystemCall("pivot_root", ".", "."); }},
      {"open_tree", [] { TrySystemCall("open_tree", AT_FDCWD, "/", 1); }},
      {"clone",
       [] { TrySystemCall("clone", CLONE_NEWUSER | SIGCHLD, nullptr, nullptr, nullptr, 0); }},
      {"name_to_handle_at",
       [] { TrySystemCall("name_to_handle_at", 0, "", nullptr, nullptr, 0x1000); }},
      {"open_by_handle_at", [] { TrySystemCall("open_by_handle_at", 0, nullptr, 0); }},
      {"setresuid", [] { TrySystemCall("setresuid", 0, 0, 0); }},
      {"capset", [] { TrySystemCall("capset", nullptr, nullptr); }},
      {"personality", [] { TrySystemCall("personality", 0x0400000 /* READ_IMPLIES_EXEC */); }},
  });
}

TEST(WorkerViolationsTest, DiesAtTheKernelsWidestDoors) {
  ExpectAllDie({
      {"io_uring_setup", [] { TrySystemCall("io_uring_setup", 8, nullptr); }},
      {"userfaultfd", [] { TrySystemCall("userfaultfd", 0); }},
      {"bpf", [] { TrySystemCall("bpf", 0, nullptr, 0); }},
      {"perf_event_open", [] { TrySystemCall("perf_event_open", nullptr, 0, -1, -1, 0); }},
      {"keyctl", [] { TrySystemCall("keyctl", 0, 0); }},
      {"add_key", [] { TrySystemCall("add_key", "user", "x", "x", 1, -3); }},
      {"init_module", [] { TrySystemCall("init_module", nullptr, 0, ""); }},
      {"modify_ldt", [] { TrySystemCall("modify_ldt", 0, nullptr, 0); }},
      {"iopl", [] { TrySystemCall("iopl", 3); }},
  });
}

TEST(WorkerViolationsTest, DiesWhenInstallingAnotherFilterOrListener) {
  static const sock_filter kAllow = {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW};
  static const sock_fprog kProgram = {1, const_cast<sock_filter*>(&kAllow)};
  ExpectAllDie({
      {"seccomp",
       [] {
         TrySystemCall("seccomp", SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER,
                       &kProgram);
       }},
      {"seccomp", [] { TrySystemCall("seccomp", SECCOMP_SET_MODE_FILTER, 0, &kProgram); }},
      {"prctl",
       [] { TrySystemCall("prctl", PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &kProgram, 0, 0); }},
  });
}

#if defined(__x86_64__)
TEST(WorkerViolationsTest, DiesOnCallsOfThe32BitInterface) {
  const Story story = Runner().Run([] {
    // getpid there, writev here.
    long result;
    asm volatile("int $0x80" : "=a"(result) : "a"(20L) : "memory");
    return static_cast<int>(result);
  });
  if (story.signal() == SIGSEGV) GTEST_SKIP() << "a kernel without the 32 bit interface";
  if (!Runner().sandbox().in_force().Has(Layer::kViolationReports)) {
    EXPECT_EQ(story.signal(), SIGSYS) << story.text;
    return;
  }
  EXPECT_EQ(story.signal(), SIGKILL) << story.text;
  ASSERT_TRUE(story.violation.has_value()) << story.text;
  EXPECT_EQ(story.violation->architecture, static_cast<uint32_t>(AUDIT_ARCH_I386));
  EXPECT_EQ(story.violation->system_call, 20);
}

TEST(WorkerViolationsTest, DiesOnCallsOfTheX32Interface) {
  const Story story = Runner().Run([] { return static_cast<int>(syscall(0x40000000 | 39)); });
  EXPECT_GT(story.signal(), 0) << story.text;
  EXPECT_EQ(story.violation.value_or(Report{.system_call = 0x40000000 | 39}).system_call,
            0x40000000 | 39);
}
#endif

TEST(WorkerViolationsTest, ReportsTheArgumentsOfTheViolation) {
  if (!Runner().sandbox().in_force().Has(Layer::kViolationReports)) GTEST_SKIP();
  const Story story = Runner().Run([] { return TrySystemCall("ptrace", 0x11, 0x22, 0x33, 0x44); });
  ASSERT_TRUE(story.violation.has_value()) << story.text;
  EXPECT_EQ(story.violation->arguments[0], 0x11u);
  EXPECT_EQ(story.violation->arguments[3], 0x44u);
  EXPECT_NE(story.violation->instruction, 0u);
}

TEST(WorkerViolationsTest, CannotSurviveAViolationWithSignalHandlers) {
  const Story story = Runner().Run([] {
    for (int i = 1; i < 65; ++i) signal(i, SIG_IGN);
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, nullptr);
    ptrace(PTRACE_TRACEME, 0, nullptr, nullptr);
    return 99;
  });
  EXPECT_GT(story.signal(), 0) << story.text;
}

}  // namespace
}  // namespace capbroker::sandbox
