// How many cases each law is tested with, of every service: a million together, which
// law_cases_test holds. A case is one comparison that can fail: of a law with limits and a request
// that were drawn for it, or, in a sequence, of what a channel allows at a step with what its
// model allows.
//
// Lives in: tests. CAPBROKER_CASES in the environment replaces every number.
#ifndef TESTS_AUTHORITY_CASES_H_
#define TESTS_AUTHORITY_CASES_H_

#include <cstddef>
#include <cstdint>
#include <iterator>

#include "absl/strings/string_view.h"

namespace capbroker::testing {

// EveryKind, Resolver, GroupDatabase and FileOpener.
inline constexpr size_t kLawServices = 4;

struct LawCases {
  absl::string_view law;
  int64_t cases;  // of each service
};

inline constexpr LawCases kLaws[] = {
    // Of limits: each case draws and compiles its own.
    {"CanonicalFormIsStable", 1'000},
    {"MeetIsIdempotent", 1'000},
    {"MeetIsCommutative", 1'000},
    {"MeetIsAssociative", 1'000},
    {"MeetIsMonotone", 1'000},
    {"MeetIsInCanonicalForm", 1'000},
    {"NothingIsTheBottom", 1'000},
    {"WithoutEffectIsEmptyExactlyForWhatIsBelow", 1'000},
    {"DamagedLimitsAreRefusedOrKeepTheLaws", 1'000},
    // Of limits and requests: each case draws its own request.
    {"MeetAllowsWhatBothAllow", 60'000},
    {"TheCheckerAgreesWithTheNaiveOne", 60'000},
    {"EmptyLimitsAllowNoRequest", 60'000},
    // Of sequences: a case is a channel and a request after a step.
    {"NoSequenceAllowsWhatItsOriginDidNot", 60'000},
    {"NoSequenceAdmitsMoreThanTheBudget", 10'000},
};

// 0 for a law that is not in the table.
constexpr int64_t CasesOf(absl::string_view law) {
  for (const LawCases& entry : kLaws) {
    if (entry.law == law) return entry.cases;
  }
  return 0;
}

constexpr int64_t AllCases() {
  int64_t sum = 0;
  for (const LawCases& entry : kLaws) sum += entry.cases * static_cast<int64_t>(kLawServices);
  return sum;
}

}  // namespace capbroker::testing

#endif  // TESTS_AUTHORITY_CASES_H_
