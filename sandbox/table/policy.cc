#include "sandbox/table/policy.h"

#include <utility>

namespace capbroker::sandbox {

Outcome Allow() { return Outcome(Outcome::Kind::kAllow, 0); }
Outcome Fail(int error_number) { return Outcome(Outcome::Kind::kFail, error_number); }
Outcome AnswerSuccess() { return Outcome(Outcome::Kind::kFail, 0); }
Outcome Ask() { return Outcome(Outcome::Kind::kAsk, 0); }
Outcome Die() { return Outcome(Outcome::Kind::kDie, 0); }
Outcome SignalCaller() { return Outcome(Outcome::Kind::kSignal, 0); }

ArgumentRef Arg32(int index) { return ArgumentRef(index, 0xffffffffu); }
ArgumentRef Arg64(int index) { return ArgumentRef(index, ~uint64_t{0}); }

Condition ArgumentRef::Is(Parameter parameter) const {
  return {.argument = index_, .any_of = {{.mask = width_, .value = 0, .parameter = parameter}}};
}

Condition ArgumentRef::IsOneOf(std::initializer_list<uint64_t> values) const {
  Condition condition = {.argument = index_, .any_of = {}};
  for (uint64_t value : values)
    condition.any_of.push_back({.mask = width_, .value = value & width_});
  return condition;
}

Condition ArgumentRef::HasOnly(uint64_t bits) const { return Lacks(~bits); }

Condition ArgumentRef::Lacks(uint64_t bits) const {
  return {.argument = index_, .any_of = {{.mask = bits & width_, .value = 0}}};
}

Condition ArgumentRef::Has(uint64_t bits) const {
  return {.argument = index_, .any_of = {{.mask = bits & width_, .value = bits & width_}}};
}

Row Row::When(std::vector<Condition> all_of, Outcome outcome) && {
  clauses_.push_back({.all_of = std::move(all_of), .outcome = outcome});
  return std::move(*this);
}

Row Row::Otherwise(Outcome outcome) && {
  otherwise_ = outcome;
  return std::move(*this);
}

Row Row::Often() && {
  often_ = true;
  return std::move(*this);
}

Row Row::For(std::string reason) && {
  reason_ = std::move(reason);
  return std::move(*this);
}

}  // namespace capbroker::sandbox
