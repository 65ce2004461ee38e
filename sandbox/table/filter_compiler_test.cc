#include "sandbox/table/filter_compiler.h"

#include <linux/audit.h>
#include <linux/seccomp.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <iterator>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "base/status_matchers.h"
#include "gtest/gtest.h"
#include "sandbox/table/filter_disassembler.h"
#include "sandbox/table/filter_evaluator.h"
#include "sandbox/table/policy.h"
#include "sandbox/table/row_reading.h"
#include "sandbox/table/system_calls.h"

namespace capbroker::sandbox {
namespace {

using ::capbroker::testing::StatusIs;
using ::testing::HasSubstr;

constexpr Architecture kX86 = Architecture::kX86_64;
constexpr uint32_t kFailed = SECCOMP_RET_ERRNO;
constexpr uint32_t kDead = SECCOMP_RET_KILL_PROCESS;

seccomp_data Call(const char* name, std::vector<uint64_t> arguments = {}) {
  seccomp_data call = {};
  call.nr = *SystemCallNumber(name, kX86);
  call.arch = AUDIT_ARCH_X86_64;
  for (size_t i = 0; i < arguments.size(); ++i) call.args[i] = arguments[i];
  return call;
}

class FilterCompilerTest : public ::testing::Test {
 protected:
  void Compile(const Policy& policy, const ParameterValues& values = {}) {
    ASSERT_OK_AND_ASSIGN(CompiledFilter filter,
                         CompileFilter(policy, DieAction::kKillProcess, kX86));
    program_ = filter.Bind(values);
  }
  uint32_t Evaluate(const seccomp_data& call) {
    const absl::StatusOr<uint32_t> action = EvaluateFilter(program_, call);
    EXPECT_OK(action);
    return action.value_or(0xdeadbeef);
  }

  std::vector<sock_filter> program_;
};

Policy Small() {
  Policy policy;
  policy.Add(On("read", "write").Always(Allow()).For("data"));
  policy.Add(On("kill")
                 .When({Arg32(0).Is(Parameter::kWorkerPid)}, Allow())
                 .Otherwise(Fail(EPERM))
                 .For("itself"));
  policy.Add(On("mmap")
                 .When({Arg64(2).HasOnly(3), Arg64(3).Lacks(0x10)}, Allow())
                 .Otherwise(Fail(EACCES))
                 .Often()
                 .For("memory"));
  return policy;
}

TEST_F(FilterCompilerTest, CompilesASmallTableToTheGoldenProgram) {
  Compile(Small(), {0, 42, 0, 0});
  EXPECT_EQ(DisassembleFilter(program_, kX86),
            "   0: load architecture\n"
            "   1: if A == 0xc000003e goto 2 else 20\n"
            "   2: load number\n"
            "   3: if A >= 0x40000000 goto 20 else 4\n"
            "   4: if A == 9 (mmap) goto 5 else 14\n"
            "   5: load argument 2 upper\n"
            "   6: if A == 0 goto 7 else 13\n"
            "   7: load argument 2 lower\n"
            "   8: and 0xfffffffc\n"
            "   9: if A == 0 goto 10 else 13\n"
            "  10: load argument 3 lower\n"
            "  11: and 0x10\n"
            "  12: if A == 0 goto 18 else 13\n"
            "  13: fail 13\n"
            "  14: if A >= 2 (open) goto 15 else 18\n"
            "  15: if A == 62 (kill) goto 16 else 20\n"
            "  16: load argument 0 lower\n"
            "  17: if A == 0x2a goto 18 else 19\n"
            "  18: allow\n"
            "  19: fail 1\n"
            "  20: die (kill)\n");
}

TEST_F(FilterCompilerTest, ReadsNoArgumentThatMakesNoDifference) {
  Policy policy;
  policy.Add(On("socket")
                 .When({Arg32(0).Is(1)}, Fail(EPERM))
                 .When({Arg32(0).Is(2)}, Fail(EACCES))
                 .When({Arg32(1).Is(3)}, Fail(EACCES))
                 .Otherwise(Fail(EACCES))
                 .For("the first clause alone says something else"));
  policy.Add(On("connect").Always(Fail(EACCES)).For("neighbour"));
  policy.Add(On("accept").When({Arg32(0).Is(1)}, Fail(EACCES)).Otherwise(Fail(EACCES)).For("same"));
  Compile(policy);
  EXPECT_EQ(DisassembleFilter(program_, kX86),
            "   0: load architecture\n"
            "   1: if A == 0xc000003e goto 2 else 11\n"
            "   2: load number\n"
            "   3: if A >= 0x40000000 goto 11 else 4\n"
            "   4: if A >= 42 (connect) goto 9 else 5\n"
            "   5: if A >= 41 (socket) goto 6 else 11\n"
            "   6: load argument 0 lower\n"
            "   7: if A == 0x1 goto 8 else 10\n"
            "   8: fail 1\n"
            "   9: if A >= 44 (sendto) goto 11 else 10\n"
            "  10: fail 13\n"
            "  11: die (kill)\n");
}

// A branch reaches 255 instructions. What it would need a jump for is there once more.
TEST_F(FilterCompilerTest, RepeatsAReturnThatIsTooFarAway) {
  Policy policy;
  for (int number = 0; number < 330; ++number) {
    policy.Add(Row({SystemCallName(number, kX86)}).Always(Fail(1 + number % 3)).For("test"));
  }
  Compile(policy);
  ASSERT_GT(program_.size(), 300u);
  for (const sock_filter& instruction : program_) {
    EXPECT_NE(instruction.code, BPF_JMP | BPF_JA);
  }
  for (int number = 0; number < 330; ++number) {
    seccomp_data call = Call("read");
    call.nr = number;
    EXPECT_EQ(Evaluate(call), kFailed | static_cast<uint32_t>(1 + number % 3));
  }
}

TEST_F(FilterCompilerTest, KillsEveryCallWithoutARow) {
  Compile(Small());
  for (int number = 0; number < 1000; ++number) {
    seccomp_data call = Call("read");
    call.nr = number;
    const std::string name = SystemCallName(number, kX86);
    if (name == "read" || name == "write" || name == "kill" || name == "mmap") continue;
    EXPECT_EQ(Evaluate(call), kDead) << name;
  }
}

TEST_F(FilterCompilerTest, KillsCallsOfAnotherArchitecture) {
  Compile(Small());
  seccomp_data call = Call("read");
  call.arch = AUDIT_ARCH_I386;
  EXPECT_EQ(Evaluate(call), kDead);
  call.arch = AUDIT_ARCH_AARCH64;
  EXPECT_EQ(Evaluate(call), kDead);
}

TEST_F(FilterCompilerTest, KillsX32NumbersAndNegativeOnes) {
  Compile(Small());
  seccomp_data call = Call("read");
  for (int number : {0x40000000, 0x40000001, -1, INT32_MIN}) {
    call.nr = number;
    EXPECT_EQ(Evaluate(call), kDead) << number;
  }
}

TEST_F(FilterCompilerTest, IgnoresTheUpperHalfOf32BitArguments) {
  Compile(Small(), {0, 7, 0, 0});
  EXPECT_EQ(Evaluate(Call("kill", {7})), SECCOMP_RET_ALLOW);
  EXPECT_EQ(Evaluate(Call("kill", {0xdeadbeef00000007})), SECCOMP_RET_ALLOW);
  EXPECT_EQ(Evaluate(Call("kill", {0x0000000700000000})), kFailed | EPERM);
}

TEST_F(FilterCompilerTest, ComparesTheWholeOf64BitArguments) {
  Compile(Small());
  EXPECT_EQ(Evaluate(Call("mmap", {0, 0, 3, 0})), SECCOMP_RET_ALLOW);
  EXPECT_EQ(Evaluate(Call("mmap", {0, 0, 7, 0})), kFailed | EACCES);
  EXPECT_EQ(Evaluate(Call("mmap", {0, 0, 0x100000003, 0})), kFailed | EACCES);
  EXPECT_EQ(Evaluate(Call("mmap", {0, 0, 3, 0x10})), kFailed | EACCES);
  // Only the tested bits matter to Lacks.
  EXPECT_EQ(Evaluate(Call("mmap", {0, 0, 3, ~uint64_t{0x10}})), SECCOMP_RET_ALLOW);
}

TEST_F(FilterCompilerTest, BindsParametersInBothHalves) {
  Policy policy;
  policy.Add(On("execveat")
                 .When({Arg64(1).Is(Parameter::kProgramPath)}, Allow())
                 .Otherwise(Fail(EACCES))
                 .For("test"));
  Compile(policy, {0, 0, 0, 0x123456789abcdef0});
  EXPECT_EQ(Evaluate(Call("execveat", {0, 0x123456789abcdef0})), SECCOMP_RET_ALLOW);
  EXPECT_EQ(Evaluate(Call("execveat", {0, 0x123456799abcdef0})), kFailed | EACCES);
  EXPECT_EQ(Evaluate(Call("execveat", {0, 0x123456789abcdef1})), kFailed | EACCES);
}

TEST_F(FilterCompilerTest, TakesTheFirstClauseThatHolds) {
  Policy policy;
  policy.Add(On("fcntl")
                 .When({Arg32(1).IsOneOf({1, 2, 3})}, Allow())
                 .When({Arg32(1).Is(3), Arg32(2).Has(5)}, Fail(EBUSY))
                 .When({Arg32(1).Is(4), Arg32(2).Has(5)}, AnswerSuccess())
                 .When({Arg32(1).Ignoring(0x100).Is(5)}, Die())
                 .Otherwise(Fail(EINVAL))
                 .For("test"));
  Compile(policy);
  EXPECT_EQ(Evaluate(Call("fcntl", {0, 3, 5})), SECCOMP_RET_ALLOW);
  EXPECT_EQ(Evaluate(Call("fcntl", {0, 4, 7})), kFailed | 0);
  EXPECT_EQ(Evaluate(Call("fcntl", {0, 4, 4})), kFailed | EINVAL);
  EXPECT_EQ(Evaluate(Call("fcntl", {0, 5})), kDead);
  EXPECT_EQ(Evaluate(Call("fcntl", {0, 0x105})), kDead);
  EXPECT_EQ(Evaluate(Call("fcntl", {0, 6})), kFailed | EINVAL);
}

TEST_F(FilterCompilerTest, DiesThroughTheListenerWhenAsked) {
  ASSERT_OK_AND_ASSIGN(CompiledFilter filter,
                       CompileFilter(Small(), DieAction::kNotifyListener, kX86));
  program_ = filter.Bind({});
  EXPECT_EQ(Evaluate(Call("ptrace")), SECCOMP_RET_USER_NOTIF);
}

// A table made at random, large enough that its jumps need detours, agrees with
// a reading of its rows one by one.
TEST_F(FilterCompilerTest, AgreesWithItsTableOnRandomCalls) {
  std::mt19937 random(20240229);
  const auto pick = [&](uint32_t below) { return random() % below; };
  const auto outcome = [&] {
    const uint32_t kind = pick(3);
    return kind == 0 ? Allow() : kind == 1 ? Fail(static_cast<int>(1 + pick(100))) : Die();
  };
  for (int round = 0; round < 20; ++round) {
    Policy policy;
    std::map<int, size_t> row_of;
    for (int number = 0; number < 460; ++number) {
      const std::string name = SystemCallName(number, kX86);
      if (name == "unknown" || pick(4) == 0) continue;
      row_of[number] = policy.rows().size();
      Row row({name});
      for (uint32_t clauses = pick(3) == 0 ? pick(4) : 0; clauses > 0; --clauses) {
        std::vector<Condition> tests;
        for (uint32_t count = 1 + pick(3); count > 0; --count) {
          const int index = static_cast<int>(pick(6));
          const ArgumentRef argument = pick(2) == 0 ? Arg32(index) : Arg64(index);
          const uint64_t value = pick(8) | (uint64_t{pick(2)} << 33);
          tests.push_back(pick(3) == 0   ? argument.IsOneOf({value, value + 1, 6})
                          : pick(2) == 0 ? argument.Lacks(value)
                                         : argument.Has(value));
        }
        row = std::move(row).When(tests, outcome());
      }
      row = std::move(row).Otherwise(outcome()).For("test");
      policy.Add(pick(20) == 0 ? std::move(row).Often() : std::move(row));
    }
    Compile(policy);
    ASSERT_GT(program_.size(), 600u);

    for (int i = 0; i < 5000; ++i) {
      seccomp_data call = Call("read");
      call.nr = static_cast<int>(pick(480));
      for (auto& argument : call.args) argument = pick(8) | (uint64_t{pick(2)} << 33);
      Outcome expected = Die();
      if (const auto found = row_of.find(call.nr); found != row_of.end()) {
        const Row& row = policy.rows()[found->second];
        Arguments arguments;
        std::copy(std::begin(call.args), std::end(call.args), arguments.begin());
        expected = OutcomeOf(row, DecidingRule(row, arguments, {}));
      }
      const uint32_t action = expected == Die()     ? kDead
                              : expected == Allow() ? uint32_t{SECCOMP_RET_ALLOW}
                                                    : kFailed | expected.error_number();
      ASSERT_EQ(Evaluate(call), action) << SystemCallName(call.nr, kX86);
    }
  }
}

TEST_F(FilterCompilerTest, RefusesTablesWithMistakes) {
  const auto compile = [](Row row) {
    Policy policy;
    policy.Add(On("read").Always(Allow()).For("data"));
    policy.Add(std::move(row));
    return CompileFilter(policy, DieAction::kKillProcess, kX86).status();
  };
  EXPECT_THAT(compile(On("raed").Always(Allow()).For("typo")),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("no system call raed")));
  EXPECT_THAT(compile(On("read").Always(Allow()).For("again")),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("stated twice")));
  EXPECT_THAT(compile(On("write").For("open end")),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("lacks its otherwise")));
  EXPECT_THAT(compile(On("write").Always(Allow())),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("or its reason")));
}

TEST_F(FilterCompilerTest, TellsWhatIsAskedForFromWhatDies) {
  Policy policy;
  policy.Add(On("openat").When({Arg32(0).Is(7)}, Die()).Otherwise(Ask()).For("files"));
  const absl::StatusOr<CompiledFilter> filter =
      CompileFilter(policy, DieAction::kNotifyListener, kX86);
  ASSERT_OK(filter);
  program_ = filter->Bind({});
  EXPECT_EQ(Evaluate(Call("openat", {6})), kAskAction);
  EXPECT_EQ(Evaluate(Call("openat", {7})), SECCOMP_RET_USER_NOTIF);
  EXPECT_EQ(Evaluate(Call("ptrace")), SECCOMP_RET_USER_NOTIF);
  EXPECT_EQ(kAskAction & SECCOMP_RET_ACTION_FULL, SECCOMP_RET_USER_NOTIF);
}

TEST(FilterEvaluatorTest, RefusesProgramsThatTheKernelWouldRefuse) {
  const seccomp_data call = {};
  const sock_filter endless[] = {{BPF_LD | BPF_W | BPF_ABS, 0, 0, 0}};
  const sock_filter outside[] = {{BPF_LD | BPF_W | BPF_ABS, 0, 0, 64}, {BPF_RET | BPF_K, 0, 0, 0}};
  const sock_filter unknown[] = {{BPF_MISC | BPF_TXA, 0, 0, 0}};
  const sock_filter far[] = {{BPF_JMP | BPF_JA, 0, 0, 0xfffffff0}, {BPF_RET | BPF_K, 0, 0, 0}};
  EXPECT_THAT(EvaluateFilter(endless, call), StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(EvaluateFilter(outside, call), StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(EvaluateFilter(unknown, call), StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(EvaluateFilter(far, call), StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST(SystemCallsTest, KnowsNumbersOfBothArchitectures) {
  EXPECT_EQ(SystemCallNumber("openat", Architecture::kX86_64), 257);
  EXPECT_EQ(SystemCallNumber("openat", Architecture::kAArch64), 56);
  EXPECT_EQ(SystemCallNumber("open", Architecture::kAArch64), std::nullopt);
  EXPECT_STREQ(SystemCallName(435, Architecture::kAArch64), "clone3");
  EXPECT_STREQ(SystemCallName(101, Architecture::kX86_64), "ptrace");
  EXPECT_STREQ(SystemCallName(-5), "unknown");
  EXPECT_STREQ(SystemCallName(100000), "unknown");
}

}  // namespace
}  // namespace capbroker::sandbox
