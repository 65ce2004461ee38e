#include "sandbox/table/filter_evaluator.h"

#include <cstddef>
#include <cstring>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace capbroker::sandbox {
namespace {

bool Compare(uint16_t operation, uint32_t accumulator, uint32_t k) {
  switch (operation) {
    case BPF_JEQ:
      return accumulator == k;
    case BPF_JGE:
      return accumulator >= k;
    case BPF_JGT:
      return accumulator > k;
    default:
      return (accumulator & k) != 0;  // BPF_JSET
  }
}

}  // namespace

absl::StatusOr<uint32_t> EvaluateFilter(absl::Span<const sock_filter> program,
                                        const seccomp_data& call) {
  uint32_t accumulator = 0;
  // Jumps only go forward, so this ends.
  for (size_t i = 0; i < program.size(); ++i) {
    const sock_filter& instruction = program[i];
    switch (instruction.code) {
      case BPF_LD | BPF_W | BPF_ABS:
        if (instruction.k % 4 != 0 || instruction.k > sizeof call - sizeof accumulator) {
          return absl::InvalidArgumentError(
              absl::StrCat("filter: load outside of the call at ", i));
        }
        std::memcpy(&accumulator, reinterpret_cast<const char*>(&call) + instruction.k,
                    sizeof accumulator);
        break;
      case BPF_ALU | BPF_AND | BPF_K:
        accumulator &= instruction.k;
        break;
      case BPF_JMP | BPF_JA:
        i += instruction.k;
        break;
      case BPF_JMP | BPF_JEQ | BPF_K:
      case BPF_JMP | BPF_JGE | BPF_K:
      case BPF_JMP | BPF_JGT | BPF_K:
      case BPF_JMP | BPF_JSET | BPF_K:
        i += Compare(BPF_OP(instruction.code), accumulator, instruction.k) ? instruction.jt
                                                                           : instruction.jf;
        break;
      case BPF_RET | BPF_K:
        return instruction.k;
      default:
        return absl::InvalidArgumentError(
            absl::StrCat("filter: unknown instruction ", instruction.code, " at ", i));
    }
  }
  return absl::InvalidArgumentError("filter: runs off its end");
}

}  // namespace capbroker::sandbox
