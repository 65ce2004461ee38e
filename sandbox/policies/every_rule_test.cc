// Every rule of every table, once, on the kernel: a system call that the rule decides, made in a
// process that has the table.
//
// What the table allows fails there with a number of its own in place of running, so that any call
// can be made with any arguments; what dies, dies.
#include <linux/seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <new>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status_matchers.h"
#include "gtest/gtest.h"
#include "sandbox/init.h"
#include "sandbox/policies/broker_policy.h"
#include "sandbox/policies/service_policy.h"
#include "sandbox/policies/worker_policy.h"
#include "sandbox/policies/zygote_policy.h"
#include "sandbox/supervisor/supervisor.h"
#include "sandbox/table/filter_compiler.h"
#include "sandbox/table/policy.h"
#include "sandbox/table/row_reading.h"
#include "sandbox/table/seccomp.h"
#include "sandbox/table/system_calls.h"

namespace capbroker::sandbox {
namespace {

constexpr ParameterValues kParameters = {0, 2, 256, 0x555500001000, 0xfffffffe, 99};
// Which no table states: the largest that a filter can give.
constexpr int kAllowed = 4095;
constexpr int kAsked = 4094;
constexpr int kSignalled = 4093;
constexpr int kDied = -1;

struct RealCall {
  std::string name;
  int number = 0;
  Arguments arguments = {};
  int expected = 0;
};

// Arguments that `rule` of `row` decides. Nothing: none were found.
bool FindArguments(const Row& row, size_t rule, Arguments& arguments) {
  std::mt19937_64 random(rule);
  for (int attempt = 0; attempt < 20'000; ++attempt) {
    for (uint64_t& argument : arguments) argument = attempt == 0 ? 0 : random();
    if (rule < row.clauses().size()) {
      for (const Condition& condition : row.clauses()[rule].all_of) {
        const MaskedValue& any = condition.any_of[random() % condition.any_of.size()];
        uint64_t& argument = arguments[condition.argument];
        argument = (argument & ~any.mask) | ValueOf(any, kParameters);
      }
    }
    if (DecidingRule(row, arguments, kParameters) == rule) return true;
  }
  return false;
}

int ExpectedOf(Outcome outcome) {
  switch (outcome.kind()) {
    case Outcome::Kind::kAllow:
      return kAllowed;
    case Outcome::Kind::kFail:
      return outcome.error_number();
    case Outcome::Kind::kAsk:
      return kAsked;
    case Outcome::Kind::kSignal:
      return kSignalled;
    case Outcome::Kind::kDie:
      break;
  }
  return kDied;
}

std::vector<RealCall> CallsOf(const Policy& policy) {
  std::vector<RealCall> calls;
  for (const Row& row : policy.rows()) {
    for (size_t rule = 0; rule <= row.clauses().size(); ++rule) {
      RealCall call;
      if (!FindArguments(row, rule, call.arguments)) {
        ADD_FAILURE() << row.calls().front() << ": rule " << rule << " decides nothing";
        continue;
      }
      call.expected =
          ExpectedOf(rule < row.clauses().size() ? row.clauses()[rule].outcome : *row.otherwise());
      for (const std::string& name : row.calls()) {
        const std::optional<int> number = SystemCallNumber(name, kNativeArchitecture);
        if (!number) continue;  // of another architecture
        call.name = absl::StrCat(name, ", rule ", rule);
        call.number = *number;
        calls.push_back(call);
      }
    }
  }
  return calls;
}

// The table's program, but that nothing it allows is done.
std::vector<sock_filter> Harmless(const Policy& policy) {
  const absl::StatusOr<CompiledFilter> filter = CompileFilter(policy, DieAction::kKillProcess);
  EXPECT_OK(filter);
  if (!filter.ok()) return {};
  std::vector<sock_filter> program = filter->Bind(kParameters);
  for (sock_filter& instruction : program) {
    if (instruction.code != (BPF_RET | BPF_K)) continue;
    const int instead = instruction.k == SECCOMP_RET_ALLOW  ? kAllowed
                        : instruction.k == kAskAction       ? kAsked
                        : instruction.k == SECCOMP_RET_TRAP ? kSignalled
                                                            : 0;
    if (instead != 0) instruction.k = SECCOMP_RET_ERRNO | static_cast<uint32_t>(instead);
  }
  return program;
}

// Makes `calls` from `*next` on, and notes what came of each, until one ends it.
[[noreturn]] void MakeCalls(const std::vector<sock_filter>& program,
                            const std::vector<RealCall>& calls, int* results,
                            std::atomic<size_t>* next) {
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || !InstallFilter(program).ok()) _exit(1);
  for (; *next < calls.size(); ++*next) {
    const RealCall& call = calls[*next];
    const Arguments& a = call.arguments;
    results[*next] = kDied;
    const int64_t result = syscall(call.number, a[0], a[1], a[2], a[3], a[4], a[5]);
    results[*next] = result < 0 ? errno : 0;
  }
  __builtin_trap();  // no call ends it any more
}

class EveryRule : public ::testing::TestWithParam<std::pair<const char*, Policy>> {};

INSTANTIATE_TEST_SUITE_P(
    Tables, EveryRule,
    ::testing::Values(
        std::pair("ForkedWorker", WorkerPolicy({})),
        std::pair("ForkedWorkerThatResizesAndAccepts",
                  WorkerPolicy({.resizes_files = true, .accepts = true})),
        std::pair("ExecutedWorker", WorkerPolicy({.kind = WorkerTable::Kind::kExecuted})),
        std::pair("ExecutedWorkerWithoutNamespaces",
                  WorkerPolicy({.kind = WorkerTable::Kind::kExecuted,
                                .makes_code = true,
                                .has_own_root = false,
                                .has_own_pids = false})),
        std::pair("SupervisedWorker", WorkerPolicy({.kind = WorkerTable::Kind::kExecuted,
                                                    .accepts = true,
                                                    .supervised = true,
                                                    .processes = true,
                                                    .scopes_signals = true,
                                                    .connects = true})),
        std::pair("Init", InitPolicy()),
        std::pair("Supervisor", SupervisorPolicy({.connects = true})),
        std::pair("Service", ServicePolicy({.reads_files = true,
                                            .serves_files = true,
                                            .tcp = true,
                                            .tcp_servers = true,
                                            .udp = true,
                                            .local_sockets = true,
                                            .routes = true})),
        std::pair("ServiceThatDeclaresNothing", ServicePolicy({})),
        std::pair("Broker", BrokerPolicy()), std::pair("Zygote", ZygotePolicy())),
    [](const auto& info) { return std::string(info.param.first); });

TEST_P(EveryRule, DecidesOnTheKernelWhatItSays) {
  const Policy& policy = GetParam().second;
  const std::vector<RealCall> calls = CallsOf(policy);
  const std::vector<sock_filter> program = Harmless(policy);
  const size_t size = sizeof(std::atomic<size_t>) + calls.size() * sizeof(int);
  void* const shared =
      mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(shared, MAP_FAILED);
  auto* const next = new (shared) std::atomic<size_t>(0);
  int* const results = reinterpret_cast<int*>(next + 1);
  while (*next < calls.size()) {
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) MakeCalls(program, calls, results, next);
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status)) << "exit code " << WEXITSTATUS(status);
    if (*next == calls.size()) break;
    ASSERT_EQ(WTERMSIG(status), SIGSYS) << calls[*next].name;
    ++*next;
  }
  for (size_t i = 0; i < calls.size(); ++i) {
    EXPECT_EQ(results[i], calls[i].expected) << calls[i].name;
  }
  munmap(shared, size);
}

}  // namespace
}  // namespace capbroker::sandbox
