#include "sandbox/table/filter_compiler.h"

#include <linux/seccomp.h>

#include <algorithm>
#include <cstddef>
#include <map>
#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace capbroker::sandbox {
namespace {

constexpr uint32_t kX32Bit = 0x40000000;

// The two 32-bit words of an argument. Both architectures are little-endian.
uint32_t WordOffset(int argument, bool upper_half) {
  return static_cast<uint32_t>(offsetof(seccomp_data, args) + sizeof(uint64_t) * argument +
                               (upper_half ? 4 : 0));
}

uint32_t Half(uint64_t value, bool upper_half) {
  return static_cast<uint32_t>(upper_half ? value >> 32 : value);
}

// Alternatives that look at the same bits of one word: it is loaded once.
bool ShareOneWord(const Condition& condition) {
  for (const MaskedValue& masked : condition.any_of) {
    if (masked.mask != condition.any_of.front().mask || Half(masked.mask, true) != 0 ||
        Half(masked.mask, false) == 0 || masked.parameter != Parameter::kNone) {
      return false;
    }
  }
  return condition.any_of.size() > 1;
}

// The clauses at the beginning that make a difference: those after them say what `Otherwise` says.
size_t Tests(const Row& row) {
  size_t count = row.clauses().size();
  while (count > 0 && row.clauses()[count - 1].outcome == *row.otherwise()) --count;
  return count;
}

}  // namespace

// Emits the program from its end to its beginning: every jump goes forward, so
// each target's place is known when the jump to it is emitted, and distances
// can be checked instead of patched.
class FilterCompiler {
 public:
  FilterCompiler(DieAction die_action, Architecture architecture)
      : die_action_(die_action), architecture_(architecture) {}

  absl::StatusOr<CompiledFilter> Compile(const Policy& policy);

 private:
  // An instruction, counted from the end of the program.
  using Label = uint32_t;

  // A run of numbers that go the same way; `row` is null where no row names
  // them.
  struct Range {
    uint32_t first;
    const Row* row;
  };

  // Ranges that the search does not divide: one, and single numbers in its midst that go
  // elsewhere. A number is found by one comparison, where a range within another takes two.
  struct Leaf {
    Range all;
    std::vector<Range> but;
  };

  Label Emit(uint16_t code, uint32_t k, uint8_t jt = 0, uint8_t jf = 0);
  Label EmitReturn(uint32_t action);
  Label EmitOutcome(Outcome outcome);
  // The offset with which the next branch reaches `target`, or what does the same and is nearer.
  uint8_t Reach(Label target);
  // Makes what is emitted next fall through to `target`.
  void FallThroughTo(Label target);
  Label EmitBranch(uint16_t comparison, uint32_t k, Label if_true, Label if_false);
  Label EmitWordTest(int argument, bool upper_half, const MaskedValue& masked, Label if_true,
                     Label if_false);
  Label EmitCondition(const Condition& condition, Label if_true, Label if_false);
  Label EmitRow(const Row& row);
  Label RowLabel(const Row* row);
  Label EmitLeaf(const Leaf& leaf);
  Label EmitSearch(const std::vector<Leaf>& leaves, size_t begin, size_t end);

  absl::Status CollectRows(const Policy& policy);
  // Of what is searched: the rows marked Often were found before, and may be in any.
  std::vector<Range> Ranges() const;
  // Rows without tests and with the same outcome are one fate, so neighbours melt.
  static bool SameFate(const Row* a, const Row* b);
  static std::vector<Leaf> Leaves(const std::vector<Range>& ranges);

  DieAction die_action_;
  Architecture architecture_;
  std::map<uint32_t, const Row*> by_number_;
  std::vector<sock_filter> reversed_;
  std::vector<CompiledFilter::Slot> slots_;  // instruction: still counted from the end
  std::map<uint32_t, Label> returns_;
  std::map<const Row*, Label> rows_;
  std::map<Label, Label> nearest_;  // what the last branch too far away goes to instead
};

FilterCompiler::Label FilterCompiler::Emit(uint16_t code, uint32_t k, uint8_t jt, uint8_t jf) {
  reversed_.push_back({.code = code, .jt = jt, .jf = jf, .k = k});
  return static_cast<Label>(reversed_.size() - 1);
}

FilterCompiler::Label FilterCompiler::EmitReturn(uint32_t action) {
  const auto found = returns_.find(action);
  if (found != returns_.end()) return found->second;
  return returns_[action] = Emit(BPF_RET | BPF_K, action);
}

FilterCompiler::Label FilterCompiler::EmitOutcome(Outcome outcome) {
  switch (outcome.kind()) {
    case Outcome::Kind::kAllow:
      return EmitReturn(SECCOMP_RET_ALLOW);
    case Outcome::Kind::kFail:
      return EmitReturn(SECCOMP_RET_ERRNO |
                        (static_cast<uint32_t>(outcome.error_number()) & SECCOMP_RET_DATA));
    case Outcome::Kind::kAsk:
      return EmitReturn(kAskAction);
    case Outcome::Kind::kSignal:
      return EmitReturn(SECCOMP_RET_TRAP);
    case Outcome::Kind::kDie:
      break;
  }
  switch (die_action_) {
    case DieAction::kNotifyListener:
      return EmitReturn(SECCOMP_RET_USER_NOTIF);
    case DieAction::kRefuse:
      return EmitReturn(SECCOMP_RET_TRACE);
    case DieAction::kKillProcess:
      break;
  }
  return EmitReturn(SECCOMP_RET_KILL_PROCESS);
}

uint8_t FilterCompiler::Reach(Label target) {
  // A branch skips instructions of its own program order: those emitted after
  // its target.
  const auto distance = [this](Label label) {
    return static_cast<uint32_t>(reversed_.size()) - 1 - label;
  };
  const Label nearest = nearest_.try_emplace(target, target).first->second;
  // Leave room for the other branch's detour, which is emitted after this was
  // measured.
  if (distance(nearest) < 254) return static_cast<uint8_t>(distance(nearest));
  // A return is no longer than a jump to it.
  const sock_filter there = reversed_[target];
  nearest_[target] = BPF_CLASS(there.code) == BPF_RET ? Emit(there.code, there.k)
                                                      : Emit(BPF_JMP | BPF_JA, distance(target));
  return 0;
}

void FilterCompiler::FallThroughTo(Label target) {
  const uint32_t distance = static_cast<uint32_t>(reversed_.size()) - 1 - target;
  if (distance != 0) Emit(BPF_JMP | BPF_JA, distance);
}

FilterCompiler::Label FilterCompiler::EmitBranch(uint16_t comparison, uint32_t k, Label if_true,
                                                 Label if_false) {
  const uint8_t jf = Reach(if_false);
  const size_t before = reversed_.size();
  const uint8_t jt = Reach(if_true);
  const uint8_t detour = static_cast<uint8_t>(reversed_.size() - before);
  return Emit(BPF_JMP | comparison | BPF_K, k, jt, static_cast<uint8_t>(jf + detour));
}

FilterCompiler::Label FilterCompiler::EmitWordTest(int argument, bool upper_half,
                                                   const MaskedValue& masked, Label if_true,
                                                   Label if_false) {
  const uint32_t mask = Half(masked.mask, upper_half);
  if (mask == 0) return if_true;
  const Label compare = EmitBranch(BPF_JEQ, Half(masked.value, upper_half), if_true, if_false);
  if (masked.parameter != Parameter::kNone) {
    slots_.push_back({compare, masked.parameter, upper_half});
  }
  if (mask != 0xffffffff) Emit(BPF_ALU | BPF_AND | BPF_K, mask);
  return Emit(BPF_LD | BPF_W | BPF_ABS, WordOffset(argument, upper_half));
}

FilterCompiler::Label FilterCompiler::EmitCondition(const Condition& condition, Label if_true,
                                                    Label if_false) {
  Label next = if_false;
  if (ShareOneWord(condition)) {
    for (auto it = condition.any_of.rbegin(); it != condition.any_of.rend(); ++it) {
      next = EmitBranch(BPF_JEQ, Half(it->value, false), if_true, next);
    }
    const uint32_t mask = Half(condition.any_of.front().mask, false);
    if (mask != 0xffffffff) Emit(BPF_ALU | BPF_AND | BPF_K, mask);
    return Emit(BPF_LD | BPF_W | BPF_ABS, WordOffset(condition.argument, false));
  }
  for (auto it = condition.any_of.rbegin(); it != condition.any_of.rend(); ++it) {
    const Label lower = EmitWordTest(condition.argument, false, *it, if_true, next);
    next = EmitWordTest(condition.argument, true, *it, lower, next);
  }
  return next;
}

FilterCompiler::Label FilterCompiler::EmitRow(const Row& row) {
  Label next = EmitOutcome(*row.otherwise());
  const auto skipped = static_cast<std::ptrdiff_t>(row.clauses().size() - Tests(row));
  for (auto clause = row.clauses().rbegin() + skipped; clause != row.clauses().rend(); ++clause) {
    Label holds = EmitOutcome(clause->outcome);
    const Label fails = next;
    for (auto condition = clause->all_of.rbegin(); condition != clause->all_of.rend();
         ++condition) {
      holds = EmitCondition(*condition, holds, fails);
    }
    next = holds;
  }
  return next;
}

FilterCompiler::Label FilterCompiler::RowLabel(const Row* row) {
  if (row == nullptr) return EmitOutcome(Die());  // INVARIANT(default-deny)
  const auto found = rows_.find(row);
  if (found != rows_.end()) return found->second;
  return rows_[row] = EmitRow(*row);
}

FilterCompiler::Label FilterCompiler::EmitLeaf(const Leaf& leaf) {
  Label next = RowLabel(leaf.all.row);
  for (auto single = leaf.but.rbegin(); single != leaf.but.rend(); ++single) {
    next = EmitBranch(BPF_JEQ, single->first, RowLabel(single->row), next);
  }
  return next;
}

// The accumulator holds the number throughout the search.
FilterCompiler::Label FilterCompiler::EmitSearch(const std::vector<Leaf>& leaves, size_t begin,
                                                 size_t end) {
  if (end - begin == 1) return EmitLeaf(leaves[begin]);
  const size_t middle = begin + (end - begin) / 2;
  const Label upper = EmitSearch(leaves, middle, end);
  const Label lower = EmitSearch(leaves, begin, middle);
  return EmitBranch(BPF_JGE, leaves[middle].all.first, upper, lower);
}

absl::Status FilterCompiler::CollectRows(const Policy& policy) {
  std::map<std::string, const Row*> by_name;
  for (const Row& row : policy.rows()) {
    if (row.calls().empty()) return absl::InvalidArgumentError("table: row without a call");
    const std::string& subject = row.calls().front();
    if (!row.otherwise().has_value() || row.reason().empty()) {
      return absl::InvalidArgumentError(
          absl::StrCat("table: row of ", subject, " lacks its otherwise or its reason"));
    }
    for (const std::string& name : row.calls()) {
      if (!IsSystemCallName(name)) {
        return absl::InvalidArgumentError(absl::StrCat("table: no system call ", name));
      }
      if (!by_name.emplace(name, &row).second) {
        return absl::InvalidArgumentError(absl::StrCat("table: ", name, " is stated twice"));
      }
      const std::optional<int> number = SystemCallNumber(name, architecture_);
      if (number.has_value()) by_number_[static_cast<uint32_t>(*number)] = &row;
    }
  }
  return absl::OkStatus();
}

bool FilterCompiler::SameFate(const Row* a, const Row* b) {
  if (a == b) return true;
  const Outcome fate_a = a == nullptr ? Die() : *a->otherwise();
  const Outcome fate_b = b == nullptr ? Die() : *b->otherwise();
  return (a == nullptr || Tests(*a) == 0) && (b == nullptr || Tests(*b) == 0) && fate_a == fate_b;
}

std::vector<FilterCompiler::Range> FilterCompiler::Ranges() const {
  std::vector<Range> ranges = {{0, nullptr}};
  uint32_t next = 0;
  for (const auto& [number, row] : by_number_) {
    if (number != next && !SameFate(ranges.back().row, nullptr)) {
      ranges.push_back({next, nullptr});
    }
    if (row->often()) {
      next = number + 1;
      continue;
    }
    if (number == 0) {
      ranges.back().row = row;
    } else if (!SameFate(ranges.back().row, row)) {
      ranges.push_back({number, row});
    }
    next = number + 1;
  }
  if (!SameFate(ranges.back().row, nullptr)) ranges.push_back({next, nullptr});
  return ranges;
}

std::vector<FilterCompiler::Leaf> FilterCompiler::Leaves(const std::vector<Range>& ranges) {
  constexpr size_t kMostSingles = 3;  // further ones would be better found by the search
  std::vector<Leaf> leaves;
  size_t i = 0;
  while (i < ranges.size()) {
    Leaf& leaf = leaves.emplace_back(Leaf{ranges[i++], {}});
    while (leaf.but.size() < kMostSingles && i + 1 < ranges.size() &&
           ranges[i + 1].first == ranges[i].first + 1 &&
           SameFate(ranges[i + 1].row, leaf.all.row)) {
      leaf.but.push_back(ranges[i]);
      i += 2;
    }
  }
  return leaves;
}

absl::StatusOr<CompiledFilter> FilterCompiler::Compile(const Policy& policy) {
  CB_RETURN_IF_ERROR(CollectRows(policy));
  const Label die = EmitOutcome(Die());

  const std::vector<Leaf> leaves = Leaves(Ranges());
  Label next = EmitSearch(leaves, 0, leaves.size());
  for (auto row = policy.rows().rbegin(); row != policy.rows().rend(); ++row) {
    if (!row->often()) continue;
    for (auto name = row->calls().rbegin(); name != row->calls().rend(); ++name) {
      const std::optional<int> number = SystemCallNumber(*name, architecture_);
      if (!number.has_value()) continue;
      next = EmitBranch(BPF_JEQ, static_cast<uint32_t>(*number), RowLabel(&*row), next);
    }
  }
  if (architecture_ == Architecture::kX86_64) {
    // The number -1 is no call but a tracer's "skip this": it dies here too.
    next = EmitBranch(BPF_JGE, kX32Bit, die, next);
  }
  FallThroughTo(next);
  next = Emit(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr));
  EmitBranch(BPF_JEQ, AuditArchitecture(architecture_), next, die);
  Emit(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, arch));

  if (reversed_.size() > BPF_MAXINSNS) {
    return absl::InvalidArgumentError(absl::StrCat("table: ", reversed_.size(),
                                                   " instructions, the kernel takes ",
                                                   static_cast<int>(BPF_MAXINSNS)));
  }
  CompiledFilter filter;
  filter.instructions_.assign(reversed_.rbegin(), reversed_.rend());
  const uint32_t last = static_cast<uint32_t>(reversed_.size()) - 1;
  for (CompiledFilter::Slot slot : slots_) {
    slot.instruction = last - slot.instruction;
    filter.slots_.push_back(slot);
  }
  return filter;
}

std::vector<sock_filter> CompiledFilter::Bind(const ParameterValues& values) const {
  std::vector<sock_filter> bound = instructions_;
  for (const Slot& slot : slots_) {
    bound[slot.instruction].k = Half(values[static_cast<size_t>(slot.parameter)], slot.upper_half);
  }
  return bound;
}

absl::StatusOr<CompiledFilter> CompileFilter(const Policy& policy, DieAction die_action,
                                             Architecture architecture) {
  return FilterCompiler(die_action, architecture).Compile(policy);
}

}  // namespace capbroker::sandbox
