// The laws of sequences: whatever holders, application and crashes do to a family, in whatever
// order, no channel allows what its model does not, and the budget is the budget.
// CAPBROKER_SEED and CAPBROKER_CASES choose the run. A failure is made small first.
#include <cstdint>
#include <iostream>
#include <memory>
#include <optional>
#include <string>

#include "authority/schema.h"
#include "gtest/gtest.h"
#include "tests/authority/cases.h"
#include "tests/authority/law_services.h"
#include "tests/authority/random_messages.h"
#include "tests/authority/sequence.h"

namespace capbroker::testing {
namespace {

using authority::ServiceSchema;

class SequenceLawsTest
    : public ::testing::TestWithParam<const google::protobuf::ServiceDescriptor*> {
 protected:
  void Holds(About about, int64_t Compared::*cases) {
    const uint64_t seed = SeedFromEnvironment();
    const int64_t wanted = CasesFromEnvironment(CasesOf(CurrentLaw()));
    const std::unique_ptr<const ServiceSchema> schema = ServiceSchema::Compile(*GetParam()).value();
    RandomMessages random(*GetParam(), seed);
    int sequences = 0;
    while (compared_.*cases < wanted && !HasFailure()) {
      ++sequences;
      Sequence sequence = RandomSequence(*schema, random, about);
      if (!RunSequence(*schema, sequence, about, compared_).has_value()) continue;
      ShrinkSequence(*schema, about, sequence);
      Compared ignored;
      ADD_FAILURE() << "seed " << seed << ", the smallest that fails:" << DescribeSequence(sequence)
                    << "\n"
                    << RunSequence(*schema, sequence, about, ignored).value_or("");
    }
    std::cout << CurrentLaw() << ", " << GetParam()->name() << ": " << compared_.*cases
              << " cases in " << sequences << " sequences, CAPBROKER_SEED=" << seed << "\n";
    EXPECT_GT(wanted, 0) << "not in cases.h";
  }

  Compared compared_;
};

// limits-never-widen
TEST_P(SequenceLawsTest, NoSequenceAllowsWhatItsOriginDidNot) {
  Holds(About::kLimits, &Compared::answers);
  // Guards against sequences that allow nothing, or everything.
  EXPECT_GT(compared_.allowed, compared_.answers / 50);
  EXPECT_LT(compared_.allowed, compared_.answers * 49 / 50);
}

// clones-share-the-budget
TEST_P(SequenceLawsTest, NoSequenceAdmitsMoreThanTheBudget) {
  Holds(About::kBudget, &Compared::asked);
  EXPECT_GT(compared_.admitted, compared_.asked / 50);
  EXPECT_LT(compared_.admitted, compared_.asked * 49 / 50);
  EXPECT_GT(compared_.admitted_after_crash, compared_.asked / 200);
}

INSTANTIATE_TEST_SUITE_P(EveryService, SequenceLawsTest, ::testing::ValuesIn(LawServices()),
                         [](const auto& info) { return info.param->name(); });

}  // namespace
}  // namespace capbroker::testing
