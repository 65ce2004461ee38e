// The laws are tested with a million cases; says with how many each.
#include <iostream>

#include "gtest/gtest.h"
#include "tests/authority/cases.h"
#include "tests/authority/law_services.h"

namespace capbroker::testing {
namespace {

TEST(LawCasesTest, AreAMillionTogether) {
  for (const LawCases& law : kLaws) {
    std::cout << law.law << ": " << law.cases << " cases of each of " << kLawServices
              << " services\n";
  }
  std::cout << "all laws: " << AllCases() << " cases\n";
  EXPECT_EQ(LawServices().size(), kLawServices);
  EXPECT_GE(AllCases(), 1'000'000);
}

}  // namespace
}  // namespace capbroker::testing
