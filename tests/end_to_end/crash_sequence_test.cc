// Sequences of narrowing, cloning, revoking and closing with a real broker, whose service
// processes are killed in between and at any moment: what shows that the family of
// tests/authority/sequence_laws_test is like the real one. CAPBROKER_SEED chooses the run.
#include <signal.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status_matchers.h"
#include "broker/testing/descendants.h"
#include "broker/testing/probe_client.h"
#include "broker/testing/probe_service.h"
#include "client/broker.h"
#include "gtest/gtest.h"

namespace capbroker {
namespace {

using testing::Eventually;
using testing::ProbeClient;

const std::vector<std::string> kWords = {"a", "b", "c", "d"};
// One more, and the broker gives the service up.
constexpr int kKills = 4;
constexpr int kSteps = 30;
constexpr int kSequences = 14;
constexpr uint32_t kClones = 6;

uint64_t Seed() {
  const char* const text = getenv("CAPBROKER_SEED");
  return text != nullptr ? strtoull(text, nullptr, 10) : std::random_device()();
}

Authority SayAll(uint32_t clones, uint32_t calls_per_minute) {
  Authority authority = testing::Probe({"a", "b", "c", "d"});
  testing::v1::ProbeBudget budget;
  budget.set_clones(clones);
  budget.set_calls_per_minute(calls_per_minute);
  authority.budget.emplace().PackFrom(budget);
  return authority;
}

struct ModelChannel {
  std::shared_ptr<Channel> channel;
  size_t parent;
  std::set<std::string> words;
  bool revoked = false;
};

class CrashSequenceTest : public ::testing::Test {
 protected:
  void SetUp() override {
    absl::StatusOr<Broker> started = Broker::Start();
    ASSERT_OK(started);
    broker_ = std::make_unique<Broker>(*std::move(started));
  }

  size_t Below(size_t bound) { return random_() % bound; }

  // The family that was opened last.
  int Process() const {
    const absl::StatusOr<v1::InspectResponse> tree = broker_->Inspect();
    const int families = tree.ok() ? tree->families_size() : 0;
    return families == 0 ? 0 : tree->families(families - 1).process();
  }

  void Kill() {
    const int process = Process();
    if (process > 0) kill(process, SIGKILL);
  }

  // Asks until somebody serves.
  absl::Status Say(const std::shared_ptr<Channel>& channel, const std::string& word) {
    absl::Status status;
    Eventually([&] {
      status = ProbeClient(channel).Say(word).status();
      return !absl::IsUnavailable(status);
    });
    return status;
  }

  void Narrow(ModelChannel& model, bool killed_meanwhile);
  void Clone(size_t original, bool killed_meanwhile);
  void RevokeFrom(size_t index);
  void Compare(const std::string& steps);

  const uint64_t seed_ = Seed();
  std::mt19937_64 random_{seed_};
  std::unique_ptr<Broker> broker_;
  std::vector<ModelChannel> channels_;  // of one sequence; closed ones without a channel
  int compared_ = 0;
};

// Kills the process at some moment of what its scope does.
class KillSoon {
 public:
  KillSoon(int process, size_t microseconds)
      : thread_([process, microseconds] {
          usleep(static_cast<useconds_t>(microseconds));
          if (process > 0) kill(process, SIGKILL);
        }) {}
  ~KillSoon() { thread_.join(); }
  KillSoon(const KillSoon&) = delete;
  KillSoon& operator=(const KillSoon&) = delete;

 private:
  std::thread thread_;
};

void CrashSequenceTest::Narrow(ModelChannel& model, bool killed_meanwhile) {
  testing::v1::ProbeLimits limits;
  std::set<std::string> meet;
  for (const std::string& word : kWords) {
    if (Below(4) == 0) continue;
    limits.add_words(word);
    if (model.words.contains(word)) meet.insert(word);
  }
  absl::Status narrowed;
  {
    std::optional<KillSoon> killer;
    if (killed_meanwhile) killer.emplace(Process(), Below(400));
    narrowed = model.channel->Narrow(limits).status();
  }
  if (model.revoked) return;
  if (narrowed.ok()) {
    model.words = meet;
    return;
  }
  ASSERT_TRUE(killed_meanwhile && absl::IsUnavailable(narrowed)) << narrowed;
  // Recorded or not, and nothing else: any word that it lost it keeps from here on.
  std::set<std::string> left;
  for (const std::string& word : kWords) {
    if (Say(model.channel, word).ok()) left.insert(word);
  }
  EXPECT_TRUE(left == meet || left == model.words) << absl::StrJoin(left, " ");
  model.words = left;
}

void CrashSequenceTest::Clone(size_t original, bool killed_meanwhile) {
  absl::StatusOr<std::shared_ptr<Channel>> clone;
  {
    std::optional<KillSoon> killer;
    if (killed_meanwhile) killer.emplace(Process(), Below(400));
    clone = channels_[original].channel->Clone();
  }
  if (!clone.ok()) {
    // What was closed, or lost in a crash, makes room a little later.
    EXPECT_TRUE(channels_[original].revoked || absl::IsResourceExhausted(clone.status()) ||
                absl::IsUnavailable(clone.status()))
        << clone.status();
    return;
  }
  size_t clones = 0;
  for (size_t i = 1; i < channels_.size(); ++i) clones += channels_[i].channel != nullptr ? 1 : 0;
  EXPECT_LT(clones, kClones);
  EXPECT_FALSE(channels_[original].revoked);
  channels_.push_back(
      {.channel = *std::move(clone), .parent = original, .words = channels_[original].words});
}

void CrashSequenceTest::RevokeFrom(size_t index) {
  const absl::StatusOr<Revocation> revoked = broker_->Revoke(*channels_[index].channel);
  // One that the record does not have any more was never heard of by its holder.
  ASSERT_OK(revoked);
  std::set<size_t> gone = {index};
  for (size_t i = 0; i < channels_.size(); ++i) {
    if (index != 0 && !gone.contains(i) && !gone.contains(channels_[i].parent)) continue;
    gone.insert(i);
    channels_[i].revoked = true;
  }
}

void CrashSequenceTest::Compare(const std::string& steps) {
  for (size_t i = 0; i < channels_.size() && !HasFailure(); ++i) {
    if (channels_[i].channel == nullptr) continue;
    for (const std::string& word : kWords) {
      const bool may = channels_[i].words.contains(word) && !channels_[i].revoked;
      const absl::Status said = Say(channels_[i].channel, word);
      ++compared_;
      EXPECT_EQ(said.ok(), may) << "channel " << i << " word " << word << ": " << said << steps;
      EXPECT_TRUE(said.ok() || absl::IsPermissionDenied(said)) << said << steps;
    }
  }
}

// limits-never-widen
TEST_F(CrashSequenceTest, NoSequenceWithRealKillsAllowsWhatItsModelDoesNot) {
  int kills = 0;
  for (int sequence = 0; sequence < kSequences && !HasFailure(); ++sequence) {
    std::string steps = absl::StrCat("\nCAPBROKER_SEED=", seed_);
    absl::StatusOr<std::shared_ptr<Channel>> first = broker_->Open(SayAll(kClones, 1'000'000));
    ASSERT_OK(first);
    channels_.clear();
    channels_.push_back({.channel = *std::move(first),
                         .parent = ~size_t{0},
                         .words = {kWords.begin(), kWords.end()}});
    int killed = 0;
    for (int step = 0; step < kSteps && !HasFailure(); ++step) {
      const size_t index = Below(channels_.size());
      if (channels_[index].channel == nullptr) continue;
      const size_t kind = Below(16);
      const bool kill_now = killed + 1 < kKills && Below(6) == 0;
      killed += kill_now ? 1 : 0;
      absl::StrAppend(&steps, "\n", kind, " on ", index, kill_now ? " and kill" : "");
      if (kind < 7) {
        Narrow(channels_[index], kill_now);
      } else if (kind < 12) {
        Clone(index, kill_now);
      } else if (kind < 14) {
        if (index != 0) channels_[index].channel.reset();  // the first stays, for Say()
        if (kill_now) Kill();
      } else if (kind == 14 && index != 0) {
        RevokeFrom(index);
        if (kill_now) Kill();
      } else if (kill_now) {
        Kill();
      }
      if (!HasFailure()) Compare(steps);
    }
    kills += killed;
  }
  std::cout << compared_ << " answers compared, " << kills << " kills, CAPBROKER_SEED=" << seed_
            << "\n";
  EXPECT_GT(kills, kSequences / 2);
}

// clones-share-the-budget: of a service whose budget is per minute alone.
TEST_F(CrashSequenceTest, KillsAndClonesDoNotMultiplyTheCallsOfAMinute) {
  constexpr uint32_t kCalls = 40;
  absl::StatusOr<std::shared_ptr<Channel>> first = broker_->Open(SayAll(kClones, kCalls));
  ASSERT_OK(first);
  std::vector<std::shared_ptr<Channel>> channels = {*std::move(first)};
  uint32_t admitted = 0;
  for (int kills = 0; kills < kKills; ++kills) {
    absl::StatusOr<std::shared_ptr<Channel>> clone = channels.back()->Clone();
    if (clone.ok()) channels.push_back(*std::move(clone));
    for (int call = 0; call < 7; ++call) {
      admitted += Say(channels[Below(channels.size())], "a").ok() ? 1 : 0;
    }
    Kill();
  }
  EXPECT_GT(admitted, 10u);
  absl::Status last;
  for (uint32_t call = 0; call <= kCalls; ++call) {
    last = Say(channels[Below(channels.size())], "a");
    admitted += last.ok() ? 1 : 0;
  }
  EXPECT_TRUE(absl::IsResourceExhausted(last)) << last;
  EXPECT_LE(admitted, kCalls);
}

}  // namespace
}  // namespace capbroker
