// From a table of system calls (policy.h) to the classic BPF program that the
// kernel runs at every system call.
//
// The program, in order:
//   1. another architecture's calls (int 0x80) die: its numbers mean other
//      calls;
//   2. on x86-64, numbers with bit 30 (the x32 ABI) die: they would slip past
//      the table;
//   3. rows marked Often, one comparison each;
//   4. the rest by binary search over ranges of numbers with the same fate, and numbers that
//      stand alone in one;
//   5. tests of arguments; what is decided by the number alone does not get
//      here, so that the kernel can remember it and skip the filter.
//
// Every process that is started pays for each instruction: the kernel checks, translates and
// compiles the program anew.
//
// Runs in: the zygote, and tests. Needs no kernel.
#ifndef SANDBOX_TABLE_FILTER_COMPILER_H_
#define SANDBOX_TABLE_FILTER_COMPILER_H_

#include <linux/filter.h>
#include <linux/seccomp.h>

#include <array>
#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "sandbox/table/policy.h"
#include "sandbox/table/system_calls.h"

namespace capbroker::sandbox {

// How Die is brought about.
enum class DieAction {
  kKillProcess,     // by the kernel, as SIGSYS
  kNotifyListener,  // the call stops and the holder of the listener kills
  // The call does nothing and fails with ENOSYS (SECCOMP_RET_TRACE, which is that without a
  // tracer). For a table that children inherit: of several filters the strictest decides, and this
  // is less strict than a listener, so what dies by a child's own table is reported as it would be.
  kRefuse,
};

// What a filter returns for Ask. To the kernel it is the same as a call that dies
// by kNotifyListener, and the listener hears of both; the value tells them apart for
// whoever evaluates the filter on the call again.
inline constexpr uint32_t kAskAction = SECCOMP_RET_USER_NOTIF | 1;

using ParameterValues = std::array<uint64_t, kParameterCount>;  // by Parameter

class CompiledFilter {
 public:
  // The program with its parameters filled in, ready to install.
  std::vector<sock_filter> Bind(const ParameterValues& values) const;

 private:
  friend class FilterCompiler;
  struct Slot {  // an instruction whose constant is half of a parameter
    uint32_t instruction;
    Parameter parameter;
    bool upper_half;
  };
  std::vector<sock_filter> instructions_;
  std::vector<Slot> slots_;
};

// INVALID_ARGUMENT: a name that no architecture has, a call stated twice, a row
// without `Otherwise` or reason, or more than the kernel's 4096 instructions.
absl::StatusOr<CompiledFilter> CompileFilter(const Policy& policy, DieAction die_action,
                                             Architecture architecture = kNativeArchitecture);

}  // namespace capbroker::sandbox

#endif  // SANDBOX_TABLE_FILTER_COMPILER_H_
