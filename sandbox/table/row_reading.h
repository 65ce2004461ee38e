// A row of a table, read as it is written: what compiled filters are held against. Tests only.
#ifndef SANDBOX_TABLE_ROW_READING_H_
#define SANDBOX_TABLE_ROW_READING_H_

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

#include "sandbox/table/filter_compiler.h"
#include "sandbox/table/policy.h"

namespace capbroker::sandbox {

using Arguments = std::array<uint64_t, 6>;

// What `masked` compares with.
inline uint64_t ValueOf(const MaskedValue& masked, const ParameterValues& parameters) {
  if (masked.parameter == Parameter::kNone) return masked.value;
  return parameters[static_cast<size_t>(masked.parameter)] & masked.mask;
}

// The rule of `row` that decides a call: the number of a clause, or that of all of them for its
// Otherwise.
inline size_t DecidingRule(const Row& row, const Arguments& arguments,
                           const ParameterValues& parameters) {
  const auto holds = [&](const Condition& condition) {
    return std::any_of(condition.any_of.begin(), condition.any_of.end(), [&](const auto& masked) {
      return (arguments[condition.argument] & masked.mask) == ValueOf(masked, parameters);
    });
  };
  const auto decides = [&](const Clause& clause) {
    return std::all_of(clause.all_of.begin(), clause.all_of.end(), holds);
  };
  const auto found = std::find_if(row.clauses().begin(), row.clauses().end(), decides);
  return static_cast<size_t>(found - row.clauses().begin());
}

inline Outcome OutcomeOf(const Row& row, size_t rule) {
  return rule < row.clauses().size() ? row.clauses()[rule].outcome : *row.otherwise();
}

}  // namespace capbroker::sandbox

#endif  // SANDBOX_TABLE_ROW_READING_H_
