#include "tools/fuzz/service_fuzz.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tools/fuzz/mutation.h"

namespace capbroker::fuzz {
namespace {

using ::testing::Each;
using ::testing::Gt;
using ::testing::SizeIs;

// EveryKind, which the generated registration of this test has made known.
ServiceFuzz& Service() { return *FuzzedServices().at(0); }

TEST(ServiceFuzzTest, SeedsReachEveryMethod) {
  ASSERT_THAT(FuzzedServices(), SizeIs(1));
  for (const std::string& input : Service().Seeds(1, 5000)) Service().Run(input);
  EXPECT_EQ(Service().counts().inputs, 5000u);
  EXPECT_EQ(Service().counts().parsed, 5000u);
  EXPECT_GT(Service().counts().limits, 4000u);
  // And not all of them: there is something to refuse.
  EXPECT_LT(Service().counts().dispatched, 4000u);
  EXPECT_THAT(Service().dispatched(), Each(Gt(0u)));
}

TEST(ServiceFuzzTest, TakesInputsOfAnyShape) {
  for (size_t size = 0; size < 8; ++size) Service().Run(std::string(size, '\xff'));
}

TEST(InputTest, SaysWhereItsRequestBegins) {
  const std::string input = MakeInput(3, "limits", "request");
  EXPECT_EQ(input.substr(RequestOf(input)), "request");
  EXPECT_EQ(RequestOf("ab"), 2u);
  EXPECT_EQ(RequestOf(absl::string_view("a\xff\xff"
                                        "b",
                                        4)),
            4u);
  // Longer limits than can be said are cut.
  const std::string cut = MakeInput(0, std::string(100'000, 'x'), "request");
  EXPECT_EQ(cut.substr(RequestOf(cut)), "request");
}

TEST(MutationTest, IsTheSameForTheSameSeed) {
  Mutation a(7);
  Mutation b(7);
  for (int i = 0; i < 1000; ++i) {
    const std::string mutated = a.Mutate("some input", "another", 64);
    EXPECT_EQ(mutated, b.Mutate("some input", "another", 64));
    EXPECT_LE(mutated.size(), 64u);
  }
}

}  // namespace
}  // namespace capbroker::fuzz
