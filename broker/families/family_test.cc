// The broker's record of a family, against a service process that lies.
#include "broker/families/family.h"

#include <sys/eventfd.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/status_matchers.h"
#include "broker/testing/probe.pb.h"
#include "gtest/gtest.h"

namespace capbroker::broker {
namespace {

using capbroker::testing::StatusIs;
using capbroker::testing::v1::ProbeBudget;
using capbroker::testing::v1::ProbeLimits;
using google::protobuf::Any;

Any Words(std::initializer_list<std::string> words) {
  ProbeLimits limits;
  for (const std::string& word : words) limits.add_words(word);
  Any any;
  any.PackFrom(limits);
  return any;
}

std::vector<std::string> WordsOf(const Any& any) {
  ProbeLimits limits;
  EXPECT_TRUE(any.UnpackTo(&limits));
  return {limits.words().begin(), limits.words().end()};
}

const std::vector<uint64_t> kFailed = {~uint64_t{0}};

UniqueFd SomeEnd() { return UniqueFd(eventfd(0, EFD_CLOEXEC)); }

class FamilyTest : public ::testing::Test {
 protected:
  uint64_t Clone(uint64_t parent) {
    const absl::StatusOr<const ChannelRecord*> clone =
        family_->RegisterClone(parent, nullptr, SomeEnd());
    EXPECT_OK(clone);
    return clone.ok() ? (*clone)->id : 0;
  }

  void SetUp() override {
    service_.name = "probe";
    service_.descriptor = ProbeLimits::descriptor()->file()->FindServiceByName("Probe");
    ASSERT_NE(service_.descriptor, nullptr);
    auto schema = authority::ServiceSchema::Compile(*service_.descriptor);
    ASSERT_OK(schema);
    schema_ = *std::move(schema);
    family_ = Make(Words({"a", "b"}));
  }

  std::unique_ptr<Family> Make(const Any& limits, int clones = 64) {
    ProbeBudget budget;
    budget.set_clones(static_cast<uint32_t>(clones));
    budget.set_calls_per_minute(10);
    Any packed;
    packed.PackFrom(budget);
    auto family = Family::Create(1, service_, *schema_, limits, &packed, false, SomeEnd());
    EXPECT_OK(family);
    return family.ok() ? *std::move(family) : nullptr;
  }

  serving::ServiceDefinition service_;
  std::unique_ptr<const authority::ServiceSchema> schema_;
  std::unique_ptr<Family> family_;
};

// INVARIANT(nobody-spins-for-a-stranger)
TEST_F(FamilyTest, RefusesChangesWithoutEnd) {
  absl::Status status;
  uint64_t commits = 0;
  while (status.ok() && commits < 100'000) {
    status = family_->CommitLimits(1, Words({"a", "b"})).status();
    commits += status.ok() ? 1 : 0;
  }
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kResourceExhausted));
  EXPECT_EQ(commits, 2 * authority::kChannelChangesPerMinute);
  EXPECT_THAT(family_->RegisterClone(1, nullptr, SomeEnd()),
              StatusIs(absl::StatusCode::kResourceExhausted));
  // Another family has its own.
  EXPECT_OK(Make(Words({"a"}))->CommitLimits(1, Words({"a"})));
}

TEST_F(FamilyTest, CountsTheSizeOfWhatIsToBeCommitted) {
  const Any large = Words({std::string(4000, 'a')});
  absl::Status status;
  uint64_t commits = 0;
  while (status.ok() && commits < 100'000) {
    status = family_->CommitLimits(1, large).status();
    commits += status.ok() ? 1 : 0;
  }
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kResourceExhausted));
  EXPECT_EQ(commits, 2 * authority::kChannelChangesPerMinute / 4);
}

// INVARIANT(limits-never-widen)
TEST_F(FamilyTest, CommitsTheMeetWhateverIsAskedFor) {
  ASSERT_OK_AND_ASSIGN(const Any first, family_->CommitLimits(1, Words({"b", "c"})));
  EXPECT_EQ(WordsOf(first), std::vector<std::string>{"b"});
  ASSERT_OK_AND_ASSIGN(const Any second, family_->CommitLimits(1, Words({"a", "b", "*"})));
  EXPECT_EQ(WordsOf(second), std::vector<std::string>{"b"});
  ASSERT_OK_AND_ASSIGN(const Any third, family_->CommitLimits(1, Words({})));
  EXPECT_TRUE(WordsOf(third).empty());
}

TEST_F(FamilyTest, RefusesLimitsThatItDoesNotUnderstand) {
  Any other;
  other.PackFrom(ProbeBudget());
  EXPECT_THAT(family_->CommitLimits(1, other), StatusIs(absl::StatusCode::kInvalidArgument));
  Any garbage = Words({"a"});
  garbage.set_value("\xff\xff\xff");
  EXPECT_THAT(family_->CommitLimits(1, garbage), StatusIs(absl::StatusCode::kInvalidArgument));
  ASSERT_OK_AND_ASSIGN(const Any same, family_->CommitLimits(1, Words({"*"})));
  EXPECT_EQ(WordsOf(same), (std::vector<std::string>{"a", "b"}));
}

TEST_F(FamilyTest, ClonesWithNoMoreThanTheParentsRecord) {
  ASSERT_OK(family_->CommitLimits(1, Words({"a"})));
  const Any wide = Words({"a", "b"});
  ASSERT_OK_AND_ASSIGN(const ChannelRecord* clone, family_->RegisterClone(1, &wide, SomeEnd()));
  EXPECT_EQ(WordsOf(clone->limits->ToAny()), std::vector<std::string>{"a"});
  ASSERT_OK_AND_ASSIGN(const ChannelRecord* equal, family_->RegisterClone(1, nullptr, SomeEnd()));
  EXPECT_EQ(WordsOf(equal->limits->ToAny()), std::vector<std::string>{"a"});
}

// INVARIANT(clones-share-the-budget)
TEST_F(FamilyTest, BoundsClonesByTheBudgetAlsoForAProcessThatDoesNot) {
  family_ = Make(Words({"a"}), 2);
  ASSERT_OK_AND_ASSIGN(const ChannelRecord* first, family_->RegisterClone(1, nullptr, SomeEnd()));
  const uint64_t id = first->id;
  ASSERT_OK(family_->RegisterClone(id, nullptr, SomeEnd()));
  EXPECT_THAT(family_->RegisterClone(1, nullptr, SomeEnd()),
              StatusIs(absl::StatusCode::kResourceExhausted));
  ASSERT_OK(family_->Forget(id));
  EXPECT_OK(family_->RegisterClone(1, nullptr, SomeEnd()));
}

TEST_F(FamilyTest, BoundsClonesWhateverTheBudget) {
  family_ = Make(Words({"a"}), 1'000'000);
  absl::Status status;
  int clones = 0;
  while (status.ok() && clones < 2000) {
    status = family_->RegisterClone(1, nullptr, UniqueFd()).status();
    clones += status.ok();
  }
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kResourceExhausted));
  EXPECT_EQ(static_cast<size_t>(clones) + 1, kMaxChannels);
}

TEST_F(FamilyTest, KnowsOnlyItsOwnChannels) {
  EXPECT_THAT(family_->CommitLimits(2, Words({"a"})), StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(family_->RegisterClone(0, nullptr, SomeEnd()), StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(family_->Forget(7), StatusIs(absl::StatusCode::kNotFound));
}

TEST_F(FamilyTest, RevokesAChannelAndWhatWasClonedFromIt) {
  const uint64_t a = Clone(1);
  const uint64_t b = Clone(1);
  const uint64_t below_a = Clone(a);
  const uint64_t deep = Clone(below_a);
  EXPECT_EQ(family_->Revoke(a).value_or(kFailed), (std::vector<uint64_t>{a, below_a, deep}));
  EXPECT_FALSE(family_->channels().at(1).revoked);
  EXPECT_FALSE(family_->channels().at(b).revoked);
  EXPECT_THAT(family_->RegisterClone(deep, nullptr, SomeEnd()),
              StatusIs(absl::StatusCode::kPermissionDenied));
  EXPECT_OK(family_->RegisterClone(b, nullptr, SomeEnd()));
}

TEST_F(FamilyTest, ClonesOfAClosedChannelAreItsParents) {
  const uint64_t a = Clone(1);
  const uint64_t adopted = Clone(a);
  ASSERT_OK(family_->Forget(a));
  EXPECT_THAT(family_->Forget(a), StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(family_->Revoke(a), StatusIs(absl::StatusCode::kNotFound));
  ASSERT_OK(family_->Forget(1));
  // The first stands for all, whether it is there or not.
  EXPECT_EQ(family_->Revoke(1).value_or(kFailed), (std::vector<uint64_t>{adopted}));
}

TEST_F(FamilyTest, APinnedChannelStandsForItsClonesWhenItIsClosed) {
  const uint64_t granted = Clone(1);
  ASSERT_OK(family_->Pin(granted));
  const uint64_t adopted = Clone(granted);
  const uint64_t below = Clone(adopted);
  ASSERT_OK(family_->Forget(granted));
  ASSERT_OK(family_->Forget(adopted));
  EXPECT_EQ(family_->open(), 2u);
  EXPECT_THAT(family_->CommitLimits(granted, Words({"a"})), StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(family_->RegisterClone(granted, nullptr, SomeEnd()),
              StatusIs(absl::StatusCode::kNotFound));
  const Family::Installation installed = family_->Install(0, 99, true, {});
  for (const v1::ChannelRecord& channel : installed.request.channels()) {
    EXPECT_NE(channel.channel(), granted) << "it has no service end to install";
  }
  EXPECT_EQ(family_->Revoke(granted).value_or(kFailed), (std::vector<uint64_t>{below}));
  family_->Unpin(granted);
  EXPECT_THAT(family_->Revoke(granted), StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(family_->Pin(granted), StatusIs(absl::StatusCode::kNotFound));
}

TEST_F(FamilyTest, WhatWasDeliveredOnAClosedChannelIsItsParents) {
  google::protobuf::RepeatedPtrField<v1::Delivery> said;
  v1::Delivery* const delivery = said.Add();
  delivery->set_method("Say");
  delivery->set_field("file");
  delivery->set_descriptors(1);
  const auto left = [this](uint64_t channel) {
    uint64_t sum = 0;
    for (const auto& [id, delivered] : family_->LeftBehind(channel)) {
      for (const auto& [source, descriptors] : delivered.counts()) sum += descriptors;
    }
    return sum;
  };
  const uint64_t granted = Clone(1);
  const uint64_t other = Clone(1);
  ASSERT_OK(family_->Pin(granted));
  const uint64_t adopted = Clone(granted);
  const uint64_t below = Clone(adopted);
  ASSERT_OK(family_->Forget(granted, said));
  ASSERT_OK(family_->Forget(adopted, said));
  ASSERT_OK(family_->Forget(below, said));
  EXPECT_EQ(left(granted), 3u);
  EXPECT_EQ(left(other), 0u);
  EXPECT_EQ(left(1), 3u);
  family_->Unpin(granted);
  EXPECT_EQ(left(1), 3u);
  ASSERT_OK(family_->Forget(1, said));
  ASSERT_OK(family_->Forget(other, said));
  EXPECT_EQ(left(1), 5u) << "the first stands for all, whether it is there or not";
}

TEST_F(FamilyTest, GivesNothingOfARevokedChannel) {
  EXPECT_EQ(family_->Revoke(1).value_or(kFailed), (std::vector<uint64_t>{1}));
  EXPECT_EQ(family_->Revoke(1).value_or(kFailed), (std::vector<uint64_t>{}));
  EXPECT_THAT(family_->CommitLimits(1, Words({"a"})),
              StatusIs(absl::StatusCode::kPermissionDenied));
  EXPECT_THAT(family_->RegisterClone(1, nullptr, SomeEnd()),
              StatusIs(absl::StatusCode::kPermissionDenied));
  EXPECT_TRUE(family_->Install(0, 1, true, {}).request.channels(0).revoked());
}

// INVARIANT(empty-grants-nothing)
TEST_F(FamilyTest, AllowsNothingWithoutLimits) {
  family_ = Make(Any());
  EXPECT_TRUE(WordsOf(family_->channels().at(1).limits->ToAny()).empty());
}

TEST_F(FamilyTest, InstallsInBatchesThatFitIntoAPacket) {
  family_ = Make(Words({std::string(1000, 'x')}), 200);
  for (int i = 0; i < 150; ++i) {
    ASSERT_OK(family_->RegisterClone(1, nullptr, SomeEnd()));
  }
  const UniqueFd usage = SomeEnd();
  std::vector<uint64_t> installed;
  bool more = true;
  for (uint64_t after = 0; more;) {
    const bool first = after == 0;
    const Family::Installation batch =
        family_->Install(after, 140, true, {first ? FdRef(usage) : FdRef(), FdRef()});
    EXPECT_LE(batch.request.ByteSizeLong(), 64u * 1024);
    EXPECT_LE(batch.descriptors.size(), 33u);
    EXPECT_TRUE(batch.request.successor());
    EXPECT_TRUE(batch.request.has_budget());
    EXPECT_EQ(batch.request.has_usage(), first);
    if (first) {
      EXPECT_EQ(batch.descriptors.at(batch.request.usage().slot() - 1).get(), usage.get());
    }
    for (const v1::ChannelRecord& channel : batch.request.channels()) {
      EXPECT_EQ(batch.descriptors.at(channel.service_end().slot() - 1).get(),
                family_->channels().at(channel.channel()).service_end.get());
      installed.push_back(channel.channel());
    }
    more = batch.request.more();
    after = batch.last;
  }
  ASSERT_EQ(installed.size(), 140u) << "not those that were registered later";
  for (size_t i = 0; i < installed.size(); ++i) EXPECT_EQ(installed[i], i + 1);
}

TEST_F(FamilyTest, GivesEachProcessWhatItsServiceWasOpenedWith) {
  for (int i = 0; i < 40; ++i) {
    ASSERT_OK(family_->RegisterClone(1, nullptr, SomeEnd()));
  }
  Family::Inputs inputs;
  inputs.upstream = SomeEnd();
  const int upstream = inputs.upstream.get();
  family_->SetInputs(std::move(inputs));
  const UniqueFd settings = SomeEnd();
  for (const bool successor : {false, true}) {
    const Family::Installation first =
        family_->Install(0, 41, successor, {.usage = settings, .settings = settings});
    EXPECT_LE(first.descriptors.size(), 33u);
    EXPECT_EQ(first.descriptors.at(first.request.upstream().slot() - 1).get(), upstream);
    EXPECT_EQ(first.descriptors.at(first.request.settings().slot() - 1).get(), settings.get());
    ASSERT_TRUE(first.request.more());
    const Family::Installation second = family_->Install(first.last, 41, successor, {});
    EXPECT_FALSE(second.request.has_upstream());
    EXPECT_FALSE(second.request.has_settings());
  }
}

TEST_F(FamilyTest, ChannelThatEndsWithItsProcessTakesItsClonesAlong) {
  ASSERT_OK_AND_ASSIGN(const ChannelRecord* stays, family_->RegisterClone(1, nullptr, SomeEnd()));
  ASSERT_OK_AND_ASSIGN(const ChannelRecord* ends,
                       family_->RegisterClone(1, nullptr, SomeEnd(), /*ends_with_process=*/true));
  const uint64_t stays_id = stays->id;
  const uint64_t ends_id = ends->id;
  // Whatever the process says of the clone.
  ASSERT_OK_AND_ASSIGN(const ChannelRecord* clone,
                       family_->RegisterClone(ends_id, nullptr, SomeEnd()));
  const uint64_t clone_id = clone->id;
  family_->EndWithProcess();
  EXPECT_TRUE(family_->channels().contains(stays_id));
  EXPECT_FALSE(family_->channels().contains(ends_id));
  EXPECT_FALSE(family_->channels().contains(clone_id));
  EXPECT_EQ(family_->open(), 2u);
}

TEST_F(FamilyTest, RefusesLimitsTooLargeToInstall) {
  ProbeLimits limits;
  for (int i = 0; i < 900; ++i) limits.add_words(std::to_string(i) + std::string(90, 'x'));
  Any any;
  any.PackFrom(limits);
  EXPECT_THAT(Family::Create(1, service_, *schema_, any, nullptr, false, SomeEnd()).status(),
              StatusIs(absl::StatusCode::kResourceExhausted));
}

}  // namespace
}  // namespace capbroker::broker
