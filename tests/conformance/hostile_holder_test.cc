// Whatever a holder does to its lanes: no limit is passed, the service lives, and others are
// served.
#include "tests/conformance/hostile_holder.h"

#include <grpcpp/client_context.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "absl/strings/str_cat.h"
#include "base/status_matchers.h"
#include "gtest/gtest.h"
#include "tests/conformance/conformance.capbroker.h"
#include "tests/conformance/conformance_service.h"
#include "tests/conformance/hostile_lane_fixture.h"
#include "tests/conformance/looped_stub.h"

namespace capbroker::testing {
namespace {

constexpr int kMoves = 20'000;

std::atomic<int> passed_limits{0};

// Notices what no limit would have let through.
class Watched final : public v1::Conformance::Service {
 public:
  grpc::Status Echo(grpc::ServerContext* context, const v1::EchoRequest* request,
                    v1::EchoResponse* response) override {
    return Notice(*request), service_.Echo(context, request, response);
  }
  grpc::Status Fail(grpc::ServerContext* context, const v1::FailRequest* request,
                    v1::FailResponse* response) override {
    return Notice(*request), service_.Fail(context, request, response);
  }
  grpc::Status Wait(grpc::ServerContext* context, const v1::WaitRequest* request,
                    v1::WaitResponse* response) override {
    return Notice(*request), service_.Wait(context, request, response);
  }
  grpc::Status Exchange(grpc::ServerContext* context, const v1::ExchangeRequest* request,
                        v1::ExchangeResponse* response) override {
    return Notice(*request), service_.Exchange(context, request, response);
  }

 private:
  template <typename Request>
  static void Notice(const Request& request) {
    if (request.word() != "yes") ++passed_limits;
  }
  ConformanceService service_;
};

// Calls all the time until it is gone, and has each answered.
class HonestCaller {
 public:
  explicit HonestCaller(v1::Conformance::StubInterface* stub)
      : thread_([this, stub] {
          while (!stop_) Call(*stub);
        }) {}
  ~HonestCaller() {
    stop_ = true;
    thread_.join();
    EXPECT_GT(calls_, 0);
  }

 private:
  void Call(v1::Conformance::StubInterface& stub) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(10));
    v1::EchoRequest request;
    request.set_word("yes");
    request.set_payload(absl::StrCat("honest ", ++calls_));
    request.set_times(1);
    v1::EchoResponse response;
    const grpc::Status status = stub.Echo(&context, request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    EXPECT_EQ(response.payload(), request.payload());
  }

  std::atomic<bool> stop_{false};
  int calls_ = 0;
  std::thread thread_;
};

// More of them for a night: `bazel test --test_tag_filters=nightly //tests/conformance/...`.
int Sequences() {
  const char* const sequences = std::getenv("SEQUENCES");
  return sequences == nullptr ? 3 : std::atoi(sequences);
}

class HostileHolderTest : public HostileLaneTest, public ::testing::WithParamInterface<int> {
 protected:
  HostileHolderTest() : HostileLaneTest(std::make_unique<Watched>()) {}
  static uint64_t seed() { return static_cast<uint64_t>(GetParam()); }
  std::function<UniqueFd()> lane() {
    return [this] { return HostileLane(); };
  }
};

INSTANTIATE_TEST_SUITE_P(Seeds, HostileHolderTest, ::testing::Range(0, Sequences()));

// INVARIANT(hostile-bytes-end-the-channel)
TEST_P(HostileHolderTest, HarmsNobodyElse) {
  const int before = OpenDescriptors();
  {
    // With a mailbox of its own, and with one in a loop.
    ASSERT_OK_AND_ASSIGN(std::shared_ptr<Channel> waiting, honest_->Clone());
    ASSERT_OK_AND_ASSIGN(std::shared_ptr<Channel> completing, honest_->Clone());
    const auto stub = NewStub<v1::Conformance>(std::move(waiting));
    LoopedStub looped(std::move(completing));
    const HonestCaller waits(stub.get()), completes(&looped);
    HostileHolder holder(seed(), 4, lane());
    for (int i = 0; i < kMoves && !HasFailure(); ++i) holder.Move();
    // It has been where it is to be.
    EXPECT_GT(holder.counts().answers, kMoves / 20);
    EXPECT_GT(holder.counts().memories, 20);
    EXPECT_GT(holder.counts().put, kMoves / 200);
    EXPECT_GT(holder.counts().ended, 20);
  }
  EXPECT_EQ(passed_limits, 0);
  EXPECT_TRUE(Echo());
  ExpectDescriptorsAgain(before);
}

// A thread attends its lane, at the lane's mailbox.
TEST_P(HostileHolderTest, HarmsNobodyWhoCallsAfterIt) {
  const int before = OpenDescriptors();
  {
    HostileHolder holder(seed(), 1, lane());
    for (int i = 0; i < kMoves && !HasFailure(); ++i) {
      holder.Move();
      if (i % 1000 == 0) {
        EXPECT_TRUE(Echo());
      }
    }
    EXPECT_GT(holder.counts().put, kMoves / 200);
    EXPECT_GT(holder.counts().mailboxes, 5);
    EXPECT_GT(holder.counts().ended, 20);
  }
  EXPECT_EQ(passed_limits, 0);
  EXPECT_TRUE(Echo());
  ExpectDescriptorsAgain(before);
}

}  // namespace
}  // namespace capbroker::testing
