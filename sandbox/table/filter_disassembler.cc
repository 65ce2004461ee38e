#include "sandbox/table/filter_disassembler.h"

#include <linux/seccomp.h>

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace capbroker::sandbox {
namespace {

std::string Word(uint32_t offset) {
  if (offset == offsetof(seccomp_data, nr)) return "number";
  if (offset == offsetof(seccomp_data, arch)) return "architecture";
  if (offset < offsetof(seccomp_data, args)) return absl::StrCat("word at ", offset);
  const uint32_t word = (offset - offsetof(seccomp_data, args)) / 4;
  return absl::StrCat("argument ", word / 2, word % 2 == 0 ? " lower" : " upper");
}

std::string Action(uint32_t action) {
  const uint32_t data = action & SECCOMP_RET_DATA;
  switch (action & SECCOMP_RET_ACTION_FULL) {
    case SECCOMP_RET_ALLOW:
      return "allow";
    case SECCOMP_RET_ERRNO:
      return absl::StrCat("fail ", data);
    case SECCOMP_RET_TRAP:
      return "signal";
    case SECCOMP_RET_KILL_PROCESS:
      return "die (kill)";
    case SECCOMP_RET_USER_NOTIF:
      return data == 0 ? "die (notify)" : "ask";
    default:
      return absl::StrFormat("action %#x", action);
  }
}

const char* Comparison(uint16_t code) {
  switch (BPF_OP(code)) {
    case BPF_JEQ:
      return "==";
    case BPF_JGE:
      return ">=";
    case BPF_JGT:
      return ">";
    case BPF_JSET:
      return "has any of";
    default:
      return "?";
  }
}

}  // namespace

std::string DisassembleFilter(absl::Span<const sock_filter> program, Architecture architecture) {
  std::string text;
  // Names help only where the accumulator holds the number. Jumps go forward,
  // so one pass tells.
  std::vector<bool> holds_number(program.size() + 1, false);
  const auto pass_on = [&](size_t from, size_t to) {
    if (to < holds_number.size()) holds_number[to] = holds_number[from];
  };
  for (size_t i = 0; i < program.size(); ++i) {
    const sock_filter& f = program[i];
    absl::StrAppendFormat(&text, "%4d: ", i);
    switch (BPF_CLASS(f.code)) {
      case BPF_LD:
        holds_number[i + 1] = f.k == offsetof(seccomp_data, nr);
        absl::StrAppend(&text, "load ", Word(f.k));
        break;
      case BPF_ALU:
        absl::StrAppendFormat(&text, "and %#x", f.k);
        break;
      case BPF_RET:
        absl::StrAppend(&text, Action(f.k));
        break;
      case BPF_JMP:
        if (BPF_OP(f.code) == BPF_JA) {
          pass_on(i, i + 1 + f.k);
          absl::StrAppend(&text, "goto ", i + 1 + f.k);
          break;
        }
        pass_on(i, i + 1 + f.jt);
        pass_on(i, i + 1 + f.jf);
        absl::StrAppendFormat(&text, "if A %s ", Comparison(f.code));
        if (holds_number[i] && f.k < 0x40000000) {
          absl::StrAppend(&text, f.k, " (", SystemCallName(static_cast<int>(f.k), architecture),
                          ")");
        } else {
          absl::StrAppendFormat(&text, "%#x", f.k);
        }
        absl::StrAppend(&text, " goto ", i + 1 + f.jt, " else ", i + 1 + f.jf);
        break;
      default:
        absl::StrAppendFormat(&text, "code %#x k %#x", f.code, f.k);
    }
    text += '\n';
  }
  return text;
}

}  // namespace capbroker::sandbox
