// What an application is told of what happens on its channels.
#include <signal.h>
#include <sys/ptrace.h>
#include <unistd.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/status_matchers.h"
#include "broker/testing/probe_client.h"
#include "broker/testing/probe_service.h"
#include "client/broker.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace capbroker {
namespace {

using ::testing::HasSubstr;
using testing::Probe;
using testing::ProbeClient;
using testing::StatusIs;
using v1::AuditEvent;

int SayAB(Grants grants) {
  ProbeClient probe(grants.Stub<testing::v1::Probe>("probe"));
  if (!probe.Say("a").ok()) return 1;
  return absl::IsPermissionDenied(probe.Say("b\n").status()) ? 0 : 2;
}
int CloneAndNarrow(Grants grants) {
  const auto channel = grants.Channel("probe");
  const auto clone = (*channel)->Clone();
  if (!clone.ok()) return 1;
  testing::v1::ProbeLimits narrower;
  narrower.add_words("a");
  if (!(*clone)->Narrow(narrower).ok()) return 2;
  return ProbeClient(*clone).Say("a").ok() ? 0 : 3;
}
int Trace(Grants) { return static_cast<int>(ptrace(PTRACE_TRACEME, 0, nullptr, nullptr)); }

constexpr int kFlood = 3000;
int Flood(Grants grants) {
  ProbeClient probe(grants.Stub<testing::v1::Probe>("probe"));
  for (int i = 0; i < kFlood; ++i) (void)probe.Say("flood");
  return 0;
}

class AuditTest : public ::testing::Test {
 protected:
  void Start(const AuditOptions& options = {}) {
    absl::StatusOr<Broker> broker = Broker::Start();
    ASSERT_OK(broker);
    broker_.emplace(*std::move(broker));
    absl::StatusOr<Audit> audit = broker_->StartAudit(options);
    ASSERT_OK(audit);
    audit_.emplace(*std::move(audit));
  }

  // Runs a worker to its end, and reads until its channel's last event.
  void Run(int (*entry)(Grants), const Authority& authority) {
    absl::StatusOr<Worker> worker =
        broker_->Launch({.entry = entry, .grants = {{"probe", authority}}});
    ASSERT_OK(worker);
    EXPECT_EQ(worker->Wait().exit_code(), 0);
    ReadUntil(AuditEvent::EXITED);
    ReadUntil(AuditEvent::CLOSED, All(AuditEvent::CLONED).size() + 1);
  }

  // Reads until events of the kind, so many of them, have come.
  void ReadUntil(AuditEvent::Kind kind, size_t count = 1) {
    const absl::Time deadline = absl::Now() + absl::Seconds(20);
    while (All(kind).size() < count) {
      ASSERT_LT(absl::Now(), deadline) << AuditEvent::Kind_Name(kind);
      Read(absl::Seconds(1));
    }
  }

  void Read(absl::Duration wait) {
    absl::StatusOr<std::vector<AuditEvent>> events = audit_->Next(wait);
    ASSERT_OK(events);
    for (AuditEvent& event : *events) events_.push_back(std::move(event));
  }

  std::vector<AuditEvent> All(AuditEvent::Kind kind) const {
    std::vector<AuditEvent> found;
    for (const AuditEvent& event : events_) {
      if (event.kind() == kind) found.push_back(event);
    }
    return found;
  }
  std::optional<AuditEvent> Find(AuditEvent::Kind kind) const {
    const std::vector<AuditEvent> found = All(kind);
    return found.empty() ? std::nullopt : std::optional<AuditEvent>(found.back());
  }

  std::optional<Broker> broker_;
  std::optional<Audit> audit_;
  std::vector<AuditEvent> events_;
};

TEST_F(AuditTest, TellsWhatAWorkerWasGrantedAndWhatItAskedFor) {
  Start();
  Run(SayAB, Probe({"a"}));
  uint64_t last = 0;
  for (const AuditEvent& event : events_) {
    EXPECT_GT(event.sequence(), last);
    last = event.sequence();
    if (event.kind() == AuditEvent::OPENED) continue;
    EXPECT_EQ(event.worker(), 1u) << event.ShortDebugString();
    EXPECT_EQ(event.grant(), event.family() == 0 ? "" : "probe") << event.ShortDebugString();
  }
  EXPECT_EQ(Find(AuditEvent::OPENED)->text(), "words: \"a\"");
  EXPECT_EQ(Find(AuditEvent::GRANTED)->service(), "capbroker.testing.v1.Probe");
  EXPECT_THAT(Find(AuditEvent::STARTED)->text(), HasSubstr("system call table"));
  const AuditEvent allowed = *Find(AuditEvent::ALLOWED);
  EXPECT_EQ(allowed.method(), "Say");
  EXPECT_EQ(allowed.values(0).ShortDebugString(),
            "field: \"words\" value: \"\\\"a\\\"\" kind: SET");
  const AuditEvent denied = *Find(AuditEvent::DENIED);
  EXPECT_EQ(denied.reason(), v1::Denial::NOT_IN_LIMITS);
  EXPECT_EQ(denied.values(0).field(), "words");
  EXPECT_EQ(denied.values(0).value(), "b\\n") << "escaped";
  EXPECT_EQ(Find(AuditEvent::EXITED)->text(), "exited with 0");
}

TEST_F(AuditTest, ClonesAreTheirHoldersAndNarrowingsAreTold) {
  Start();
  Run(CloneAndNarrow, Probe({"a", "b"}));
  const AuditEvent cloned = *Find(AuditEvent::CLONED);
  EXPECT_EQ(cloned.parent(), 1u);
  EXPECT_EQ(cloned.worker(), 1u);
  const AuditEvent narrowed = *Find(AuditEvent::NARROWED);
  EXPECT_EQ(narrowed.channel(), cloned.channel());
  EXPECT_EQ(narrowed.text(), "words: \"a\"");
  const AuditEvent allowed = *Find(AuditEvent::ALLOWED);
  EXPECT_EQ(allowed.channel(), cloned.channel());
  EXPECT_EQ(allowed.grant(), "probe");
}

TEST_F(AuditTest, NamesTheSystemCallThatKilledAWorker) {
  Start();
  ASSERT_OK_AND_ASSIGN(Worker worker, broker_->Launch({.entry = Trace}));
  worker.Wait();
  ReadUntil(AuditEvent::EXITED);
  EXPECT_EQ(Find(AuditEvent::VIOLATION)->text(), "ptrace");
}

TEST_F(AuditTest, TellsRevocationsAndCrashes) {
  Start();
  ASSERT_OK_AND_ASSIGN(const std::shared_ptr<Channel> channel, broker_->Open(Probe({"a"})));
  (void)ProbeClient(channel).Die(SIGKILL);
  ReadUntil(AuditEvent::CRASHED);
  EXPECT_EQ(Find(AuditEvent::CRASHED)->text(), "was killed by signal 9");
  ASSERT_OK(broker_->Revoke(*channel));
  EXPECT_FALSE(ProbeClient(channel).Say("a").ok());
  ReadUntil(AuditEvent::DENIED);
  EXPECT_EQ(Find(AuditEvent::REVOKED)->channel(), 1u);
  EXPECT_EQ(Find(AuditEvent::DENIED)->reason(), v1::Denial::REVOKED);
  EXPECT_EQ(Find(AuditEvent::DENIED)->worker(), 0u) << "the application's";
}

TEST_F(AuditTest, FloodHidesNothingAndIsCounted) {
  Start({.events_per_minute = 50});
  ASSERT_OK_AND_ASSIGN(std::shared_ptr<Channel> quiet, broker_->Open(Probe({"a"})));
  Run(Flood, Probe({"a"}));
  EXPECT_FALSE(ProbeClient(quiet).Say("quiet").ok());
  quiet.reset();
  ReadUntil(AuditEvent::CLOSED, 2);
  uint64_t told = 0;
  uint64_t left_out = 0;
  bool quiet_told = false;
  for (const AuditEvent& event : events_) {
    if (event.kind() == AuditEvent::DENIED && event.worker() == 0) {
      quiet_told = true;
    } else if (event.kind() == AuditEvent::DENIED) {
      ++told;
    } else if (event.kind() == AuditEvent::LEFT_OUT) {
      EXPECT_EQ(event.left_out(), AuditEvent::DENIED);
      EXPECT_EQ(event.worker(), 1u);
      left_out += event.count();
    }
  }
  EXPECT_TRUE(quiet_told);
  EXPECT_EQ(told, 50u);
  EXPECT_EQ(told + left_out, uint64_t{kFlood});
}

TEST_F(AuditTest, RecordsOneAllowedCallOfSoManyAndEveryDeniedOne) {
  Start({.allowed_one_in = 10});
  ASSERT_OK_AND_ASSIGN(const std::shared_ptr<Channel> channel, broker_->Open(Probe({"a"})));
  for (int i = 0; i < 100; ++i) ASSERT_OK(ProbeClient(channel).Say("a"));
  for (int i = 0; i < 3; ++i) ASSERT_FALSE(ProbeClient(channel).Say("b").ok());
  ReadUntil(AuditEvent::DENIED, 3);
  EXPECT_EQ(All(AuditEvent::ALLOWED).size(), 10u);
  EXPECT_EQ(All(AuditEvent::DENIED).size(), 3u);
}

TEST_F(AuditTest, WhoReadsLateIsToldWhatWasLeftOut) {
  Start({.events_per_minute = 1'000'000});
  ASSERT_OK_AND_ASSIGN(std::shared_ptr<Channel> channel, broker_->Open(Probe({"a"})));
  constexpr int kCalls = 15'000;  // more than the broker keeps for a family
  for (int i = 0; i < kCalls; ++i) ASSERT_OK(ProbeClient(channel).Say("a"));
  channel.reset();
  ReadUntil(AuditEvent::CLOSED);
  uint64_t left_out = 0;
  for (const AuditEvent& event : All(AuditEvent::LEFT_OUT)) left_out += event.count();
  EXPECT_GT(left_out, 0u);
  EXPECT_EQ(All(AuditEvent::ALLOWED).size() + left_out, uint64_t{kCalls});
}

TEST_F(AuditTest, TellsEachValueThatIsLearnedOnce) {
  Start({.allowed_one_in = 0, .learn = true});
  ASSERT_OK_AND_ASSIGN(std::shared_ptr<Channel> channel, broker_->Open(Probe({"*"})));
  for (const char* word : {"a", "b", "a", "*", "b"}) ASSERT_OK(ProbeClient(channel).Say(word));
  channel.reset();
  ReadUntil(AuditEvent::CLOSED);
  std::vector<std::string> learned;
  for (const AuditEvent& event : All(AuditEvent::LEARNED)) {
    learned.push_back(event.values(0).value());
  }
  EXPECT_THAT(learned, ::testing::ElementsAre("\"a\"", "\"b\""));
  EXPECT_EQ(All(AuditEvent::LEFT_OUT).size(), 1u) << "\"*\" as an entry is every word";
  EXPECT_TRUE(All(AuditEvent::ALLOWED).empty());
}

TEST_F(AuditTest, IsStartedBeforeAnythingIsOpenAndOnce) {
  ASSERT_OK_AND_ASSIGN(Broker broker, Broker::Start());
  {
    ASSERT_OK_AND_ASSIGN(const std::shared_ptr<Channel> channel, broker.Open(Probe({"a"})));
    EXPECT_THAT(broker.StartAudit({}).status(), StatusIs(absl::StatusCode::kFailedPrecondition));
  }
  absl::StatusOr<Audit> audit = absl::UnknownError("");
  for (int i = 0; i < 1000 && !audit.ok(); ++i) {
    audit = broker.StartAudit({});
    absl::SleepFor(absl::Milliseconds(10));
  }
  ASSERT_OK(audit);
  EXPECT_THAT(broker.StartAudit({}).status(), StatusIs(absl::StatusCode::kFailedPrecondition));
  ASSERT_OK_AND_ASSIGN(const std::vector<AuditEvent> none, audit->Next(absl::ZeroDuration()));
  EXPECT_TRUE(none.empty());
}

}  // namespace
}  // namespace capbroker
