// Many channels in one callback loop, to a real broker's service: of the application, whose service
// is killed again and again, and of a confined worker.
#include "transport/callback_loop.h"

#include <signal.h>

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/status_matchers.h"
#include "broker/testing/probe.capbroker.h"
#include "broker/testing/probe_service.h"
#include "client/broker.h"
#include "gtest/gtest.h"
#include "transport/channel.h"
#include "transport/grpc_status.h"
#include "transport/stub.h"

namespace capbroker {
namespace {

using testing::v1::Probe;
using testing::v1::SayRequest;
using testing::v1::SayResponse;

constexpr int kChannels = 40;

// Channels that are called again and again.
class Callers {
 public:
  Callers(const std::shared_ptr<Channel>& first, int count) {
    absl::StatusOr<std::shared_ptr<CallbackLoop>> loop = CallbackLoop::Create();
    EXPECT_OK(loop);
    loop_ = *std::move(loop);
    for (int i = 0; i < count; ++i) {
      auto caller = std::make_unique<Caller>();
      absl::StatusOr<std::shared_ptr<Channel>> clone = first->Clone();
      EXPECT_OK(clone);
      caller->channel = *std::move(clone);
      EXPECT_OK(caller->channel->CompleteIn(loop_));
      caller->stub = NewStub<Probe>(caller->channel);
      caller->request.set_word("yes");
      callers_.push_back(std::move(caller));
    }
    for (const auto& caller : callers_) Start(*caller);
  }

  // Runs the loop until `count` further calls have ended, whatever their end; false: they did not.
  bool Run(int count) {
    const absl::Time until = absl::Now() + absl::Seconds(30);
    const int target = ended_ + count;
    while (ended_ < target && absl::Now() < until) loop_->RunOnce(absl::Seconds(1));
    return ended_ >= target;
  }
  // Lets every call end.
  bool Finish() {
    stopping_ = true;
    const absl::Time until = absl::Now() + absl::Seconds(30);
    while (in_flight_ > 0 && absl::Now() < until) loop_->RunOnce(absl::Seconds(1));
    return in_flight_ == 0;
  }

  std::map<grpc::StatusCode, int> ends() const { return ends_; }
  int lasting() const { return in_flight_; }
  int process() const { return process_; }
  uint64_t posted() const {
    uint64_t posted = 0;
    for (const auto& caller : callers_) posted += caller->channel->lane().posted_calls();
    return posted;
  }
  const std::shared_ptr<Channel>& channel(size_t i) const { return callers_[i]->channel; }
  std::optional<grpc::Status> last(size_t i) const { return callers_[i]->last; }

 private:
  struct Caller {
    std::shared_ptr<Channel> channel;
    std::unique_ptr<Probe::StubInterface> stub;
    SayRequest request;
    std::unique_ptr<grpc::ClientContext> context;
    SayResponse response;
    std::optional<grpc::Status> last;
  };

  void Start(Caller& caller) {
    ++in_flight_;
    caller.context = std::make_unique<grpc::ClientContext>();
    caller.stub->async()->Say(caller.context.get(), &caller.request, &caller.response,
                              [this, &caller](const grpc::Status& status) {
                                --in_flight_;
                                ++ended_;
                                ++ends_[status.error_code()];
                                caller.last = status;
                                if (status.ok()) process_ = caller.response.process();
                                if (!stopping_) Start(caller);
                              });
  }

  std::shared_ptr<CallbackLoop> loop_;
  std::vector<std::unique_ptr<Caller>> callers_;
  int in_flight_ = 0;
  int ended_ = 0;
  bool stopping_ = false;
  int process_ = 0;
  std::map<grpc::StatusCode, int> ends_;
};

class CallbackLoopTest : public ::testing::Test {
 protected:
  void SetUp() override {
    absl::StatusOr<Broker> started = Broker::Start();
    ASSERT_OK(started);
    broker_ = std::make_unique<Broker>(*std::move(started));
    absl::StatusOr<std::shared_ptr<Channel>> opened = broker_->Open(testing::Probe({"yes"}));
    ASSERT_OK(opened);
    first_ = *std::move(opened);
  }

  std::unique_ptr<Broker> broker_;
  std::shared_ptr<Channel> first_;
};

TEST_F(CallbackLoopTest, ManyChannelsShareTheirMailbox) {
  Callers callers(first_, kChannels);
  ASSERT_TRUE(callers.Run(kChannels * 200));
  ASSERT_TRUE(callers.Finish());
  EXPECT_EQ(callers.ends().size(), 1u);
  // All but those by which they have asked, and those that woke somebody.
  EXPECT_GT(callers.posted(), uint64_t{kChannels} * 50);
}

// INVARIANT(no-hang), and no call runs twice: each ends once, with an answer or UNAVAILABLE.
TEST_F(CallbackLoopTest, AKilledServiceEndsWhatItHadAndItsSuccessorServes) {
  Callers callers(first_, kChannels);
  for (int round = 0; round < 4; ++round) {
    ASSERT_TRUE(callers.Run(kChannels * 100)) << round;
    const int killed = callers.process();
    ASSERT_EQ(kill(killed, SIGKILL), 0);
    const absl::Time until = absl::Now() + absl::Seconds(20);
    while (callers.process() == killed && absl::Now() < until) ASSERT_TRUE(callers.Run(1));
    ASSERT_NE(callers.process(), killed);
    const uint64_t posted = callers.posted();
    ASSERT_TRUE(callers.Run(kChannels * 100)) << round;
    EXPECT_GT(callers.posted(), posted) << "the successor's mailbox";
  }
  ASSERT_TRUE(callers.Finish());
  for (const auto& [code, count] : callers.ends()) {
    EXPECT_TRUE(code == grpc::StatusCode::OK || code == grpc::StatusCode::UNAVAILABLE)
        << code << ": " << count;
  }
}

TEST_F(CallbackLoopTest, ARevokedChannelIsDeniedAndTheOthersAreNot) {
  Callers callers(first_, kChannels);
  ASSERT_TRUE(callers.Run(kChannels * 100));
  ASSERT_OK(broker_->Revoke(*callers.channel(3)));
  ASSERT_TRUE(callers.Run(kChannels * 20));
  ASSERT_TRUE(callers.Finish());
  const std::optional<v1::Denial> denial = DenialOf(*callers.last(3));
  ASSERT_TRUE(denial.has_value());
  EXPECT_EQ(denial->reason(), v1::Denial::REVOKED);
  EXPECT_TRUE(callers.last(2)->ok()) << callers.last(2)->error_message();
}

int CallOfManyChannels(Grants grants) {
  const absl::StatusOr<std::shared_ptr<Channel>> first = grants.Channel("probe");
  if (!first.ok()) return 2;
  Callers callers(*first, 20);
  const bool ended = callers.Run(20 * 200) && callers.Finish();
  return ended && callers.ends().size() == 1 && callers.posted() > 20 * 50 ? 0 : 3;
}

TEST_F(CallbackLoopTest, AConfinedWorkerHasALoop) {
  absl::StatusOr<Worker> worker = broker_->Launch(
      {.entry = CallOfManyChannels, .grants = {{"probe", testing::Probe({"yes"})}}});
  ASSERT_OK(worker);
  const WorkerEnd end = worker->Wait();
  EXPECT_EQ(end.exit_code(), 0) << end.ToString();
}

}  // namespace
}  // namespace capbroker
