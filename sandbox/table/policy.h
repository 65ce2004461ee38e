// Tables of system calls, written so that a row reads as the sentence that a
// reviewer would say:
//
//   Policy policy;
//   policy.Add(On("read", "write").Always(Allow()).For("granted descriptors"));
//   policy.Add(On("mmap")
//                  .When({Arg64(2).HasOnly(PROT_READ | PROT_WRITE)}, Allow())
//                  .Otherwise(Fail(EPERM))
//                  .For("malloc, thread stacks; never executable memory"));
//   policy.Add(On("kill").When({Arg32(0).Is(Parameter::kWorkerPid)}, Allow())
//                  .Otherwise(Fail(EPERM)).For("raise()"));
//
// The grammar: a *row* names system calls and states clauses. A *clause* is a
// list of conditions, all of which must hold, and an outcome; the first clause
// that holds decides, and `Otherwise` (or `Always`) closes the row. There are
// four outcomes: Allow; Fail, with an errno that the caller sees; Ask, which the
// worker's supervisor answers; Die, reported. A system call without a row dies
// (INVARIANT(default-deny)). Stating a call twice is an error, not an override.
//
// Widths: most arguments are `int` to the kernel, which ignores the upper half
// of the register; compilers leave rubbish there. `Arg32` therefore compares
// the lower half and ignores the upper, exactly as the kernel reads it. What
// the kernel reads whole (pointers, size_t, mmap's prot) must be `Arg64`, which
// compares all of it. The wrong choice is a hole in either direction, so each
// row of worker_policy.cc has been checked against the kernel's code (clone's
// flags, for one, are declared as 64 bits and read as 32).
//
// Official API of tables. Compiled by filter_compiler.h. Values only, any
// process.
#ifndef SANDBOX_TABLE_POLICY_H_
#define SANDBOX_TABLE_POLICY_H_

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <vector>

namespace capbroker::sandbox {

// What happens to a system call.
class Outcome {
 public:
  enum class Kind { kAllow, kFail, kAsk, kDie, kSignal };
  Kind kind() const { return kind_; }
  int error_number() const { return error_number_; }
  friend bool operator==(Outcome a, Outcome b) {
    return a.kind_ == b.kind_ && a.error_number_ == b.error_number_;
  }

 private:
  friend Outcome Allow();
  friend Outcome Fail(int);
  friend Outcome AnswerSuccess();
  friend Outcome Ask();
  friend Outcome Die();
  friend Outcome SignalCaller();
  Outcome(Kind kind, int error_number) : kind_(kind), error_number_(error_number) {}
  Kind kind_;
  int error_number_;
};

Outcome Allow();
// The call does nothing and returns -1 with `error_number` (1 to 4095).
Outcome Fail(int error_number);
// The call does nothing and returns 0. Only where a caller insists on a change
// that somebody has made for it beforehand.
Outcome AnswerSuccess();
// The call stops, and the supervisor (supervisor.h) does in its place what the
// worker's grants allow. The kernel itself never goes on with it.
Outcome Ask();
// The call does nothing and the process ends; the report names the call.
Outcome Die();
// The call does nothing and its thread gets SIGSYS, whose handler may give an
// answer made of what the table allows. A way to fail softly: without a handler
// the process ends.
Outcome SignalCaller();

// A value that is known only when a filter is installed.
enum class Parameter : uint8_t {
  kNone,
  kWorkerPid,          // as the worker itself sees it
  kProgramDescriptor,  // execveat's first argument at the start of a program
  kProgramPath,        // execveat's second
  kWorkerGroup,        // minus that: its process group, as kill() names it
  kWorkingPlace,       // a descriptor that a supervised worker must keep
};
inline constexpr int kParameterCount = 6;

// (argument & mask) == value.
struct MaskedValue {
  uint64_t mask = 0;
  uint64_t value = 0;
  Parameter parameter = Parameter::kNone;  // instead of value, if not kNone
};

// A condition on one argument: true if any of the alternatives holds.
struct Condition {
  int argument = 0;  // 0 to 5
  std::vector<MaskedValue> any_of;
};

// What can be asked about an argument; made by Arg32 and Arg64.
class ArgumentRef {
 public:
  Condition Is(uint64_t value) const { return IsOneOf({value}); }
  Condition Is(Parameter parameter) const;
  Condition IsOneOf(std::initializer_list<uint64_t> values) const;
  // No bit set but, at most, these.
  Condition HasOnly(uint64_t bits) const;
  // None of these bits set.
  Condition Lacks(uint64_t bits) const;
  // All of these bits set.
  Condition Has(uint64_t bits) const;
  // The same argument without these bits:
  // Arg32(1).Ignoring(FUTEX_PRIVATE_FLAG).Is(FUTEX_WAIT).
  ArgumentRef Ignoring(uint64_t bits) const { return ArgumentRef(index_, width_ & ~bits); }

 private:
  friend ArgumentRef Arg32(int index);
  friend ArgumentRef Arg64(int index);
  ArgumentRef(int index, uint64_t width) : index_(index), width_(width) {}
  int index_;
  uint64_t width_;  // mask of the bits that the kernel reads
};

ArgumentRef Arg32(int index);
ArgumentRef Arg64(int index);

struct Clause {
  std::vector<Condition> all_of;
  Outcome outcome;
};

// A row of the table.
class Row {
 public:
  explicit Row(std::vector<std::string> calls) : calls_(std::move(calls)) {}

  Row When(std::vector<Condition> all_of, Outcome outcome) &&;
  Row Otherwise(Outcome outcome) &&;
  Row Always(Outcome outcome) && { return std::move(*this).Otherwise(outcome); }
  // Tested before the rest of the table. For conditional rows in hot paths:
  // calls that are allowed whatever their arguments cost nothing, the kernel
  // remembers them.
  Row Often() &&;
  // Who needs it, or what refusing it prevents.
  Row For(std::string reason) &&;

  const std::vector<std::string>& calls() const { return calls_; }
  const std::vector<Clause>& clauses() const { return clauses_; }
  const std::optional<Outcome>& otherwise() const { return otherwise_; }
  const std::string& reason() const { return reason_; }
  bool often() const { return often_; }

 private:
  std::vector<std::string> calls_;
  std::vector<Clause> clauses_;
  std::optional<Outcome> otherwise_;
  std::string reason_;
  bool often_ = false;
};

template <typename... Names>
Row On(const Names&... names) {
  return Row({std::string(names)...});
}

// A whole table.
class Policy {
 public:
  void Add(Row row) { rows_.push_back(std::move(row)); }
  const std::vector<Row>& rows() const { return rows_; }

 private:
  std::vector<Row> rows_;
};

}  // namespace capbroker::sandbox

#endif  // SANDBOX_TABLE_POLICY_H_
