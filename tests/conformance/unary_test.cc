// Unary rpcs on every path: blocking, with callbacks, with a completion queue.
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "tests/conformance/conformance_fixture.h"
#include "transport/grpc_status.h"

namespace capbroker::testing {
namespace {

using ::capbroker::v1::Denial;
using std::chrono::milliseconds;
using std::chrono::system_clock;

INSTANTIATE_TEST_SUITE_P(Paths, ConformanceTest, EveryPath(), ParamName);

TEST_P(ConformanceTest, UnaryAnswers) {
  grpc::ClientContext context;
  v1::EchoResponse response;
  const grpc::Status status = stub().Echo(&context, EchoOf("hello"), &response);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(response.payload(), "hello");
}

TEST_P(ConformanceTest, UnaryCarriesMessagesOfEverySize) {
  for (const size_t size : {size_t{0}, size_t{1}, size_t{4096}, size_t{65'000}, size_t{65'536},
                            size_t{70'000}, size_t{1} << 20, size_t{9} << 20}) {
    grpc::ClientContext context;
    v1::EchoResponse response;
    const std::string payload(size, 'x');
    const grpc::Status status = stub().Echo(&context, EchoOf(payload), &response);
    ASSERT_TRUE(status.ok()) << size << ": " << status.error_message();
    EXPECT_TRUE(response.payload() == payload) << size;
  }
}

TEST_P(ConformanceTest, LargeMessagesOfSeveralThreadsDoNotMix) {
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 4; ++thread) {
    threads.emplace_back([this, thread] {
      for (int call = 0; call < 25; ++call) {
        // Small, large, and large in answer alone, each with content of its own.
        const bool large_request = (call + thread) % 3 != 0;
        const std::string payload((large_request ? 150'000u : 30'000u) + static_cast<size_t>(call),
                                  static_cast<char>('a' + (call * 4 + thread) % 26));
        v1::EchoRequest request = EchoOf(payload);
        request.set_times(call % 2 == 0 ? 1 : 5);
        grpc::ClientContext context;
        v1::EchoResponse response;
        const grpc::Status status = stub().Echo(&context, request, &response);
        ASSERT_TRUE(status.ok()) << status.error_message();
        std::string expected;
        for (uint32_t i = 0; i < request.times(); ++i) expected += payload;
        EXPECT_TRUE(response.payload() == expected) << thread << " " << call;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST_P(ConformanceTest, LargeMessagesAfterACallThatWasLateAreTheirOwn) {
  for (int round = 0; round < 20; ++round) {
    const std::string payload(400'000, static_cast<char>('a' + round));
    v1::EchoRequest request = EchoOf(payload);
    grpc::ClientContext late;
    late.set_deadline(system_clock::now() + std::chrono::microseconds(round * 40));
    v1::EchoResponse response;
    (void)stub().Echo(&late, request, &response);
    grpc::ClientContext context;
    const std::string next(300'000, static_cast<char>('A' + round));
    const grpc::Status status = stub().Echo(&context, EchoOf(next), &response);
    ASSERT_TRUE(status.ok()) << status.error_message();
    EXPECT_TRUE(response.payload() == next) << round;
  }
}

TEST_P(ConformanceTest, ResponseBeyondTheBoundIsResourceExhausted) {
  grpc::ClientContext context;
  v1::EchoResponse response;
  v1::EchoRequest request = EchoOf(std::string(1 << 20, 'x'));
  request.set_times(65);
  EXPECT_EQ(stub().Echo(&context, request, &response).error_code(),
            grpc::StatusCode::RESOURCE_EXHAUSTED);
}

TEST_P(ConformanceTest, RequestBeyondTheBoundIsResourceExhausted) {
  grpc::ClientContext context;
  v1::EchoResponse response;
  EXPECT_EQ(stub().Echo(&context, EchoOf(std::string((64 << 20) + 1, 'x')), &response).error_code(),
            grpc::StatusCode::RESOURCE_EXHAUSTED);
}

TEST_P(ConformanceTest, UnaryIsCheckedBeforeItsHandler) {
  const int before = ConformanceService::handled();
  grpc::ClientContext context;
  v1::EchoResponse response;
  ExpectDenied(stub().Echo(&context, EchoOf("", "no"), &response), Denial::NOT_IN_LIMITS, "words");
  EXPECT_EQ(ConformanceService::handled(), before);
}

TEST_P(ConformanceTest, UnknownFieldOfARequestIsRefused) {
  v1::EchoRequest request = EchoOf("x");
  request.GetReflection()->MutableUnknownFields(&request)->AddVarint(1000, 1);
  grpc::ClientContext context;
  v1::EchoResponse response;
  const grpc::Status status = stub().Echo(&context, request, &response);
  ASSERT_TRUE(DenialOf(status).has_value()) << status.error_message();
  EXPECT_EQ(DenialOf(status)->reason(), Denial::UNKNOWN_FIELD);
}

TEST_P(ConformanceTest, ErrorsKeepCodeMessageAndDetails) {
  v1::FailRequest request;
  request.set_word("yes");
  request.set_code(grpc::StatusCode::ABORTED);
  request.set_message("a message with \xc3\xa4 and %");
  request.set_details(std::string("\0\1\xff", 3));
  grpc::ClientContext context;
  v1::FailResponse response;
  const grpc::Status status = stub().Fail(&context, request, &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::ABORTED);
  EXPECT_EQ(status.error_message(), request.message());
  EXPECT_EQ(status.error_details(), request.details());
}

TEST_P(ConformanceTest, MetadataTravelsBothWays) {
  grpc::ClientContext context;
  context.AddMetadata("x-key", "value");
  context.AddMetadata("x-key", "second");
  context.AddMetadata("x-data-bin", std::string("\0\xff", 2));
  v1::EchoResponse response;
  ASSERT_TRUE(stub().Echo(&context, EchoOf(""), &response).ok());
  EXPECT_EQ(context.GetServerInitialMetadata().count("x-key"), 2u);
  const auto trailing = context.GetServerTrailingMetadata().find("trailing-x-key");
  ASSERT_NE(trailing, context.GetServerTrailingMetadata().end());
  const auto binary = context.GetServerInitialMetadata().find("x-data-bin");
  ASSERT_NE(binary, context.GetServerInitialMetadata().end());
  EXPECT_EQ(std::string(binary->second.data(), binary->second.size()), std::string("\0\xff", 2));
}

TEST_P(ConformanceTest, DeadlineEndsACallAndReachesTheHandler) {
  v1::WaitRequest request;
  request.set_word("yes");
  request.set_milliseconds(10'000);
  v1::Conformance::StubInterface& ready = stub();
  grpc::ClientContext context;
  context.set_deadline(system_clock::now() + milliseconds(60));
  v1::WaitResponse response;
  const auto start = system_clock::now();
  EXPECT_EQ(ready.Wait(&context, request, &response).error_code(),
            grpc::StatusCode::DEADLINE_EXCEEDED);
  const auto took = system_clock::now() - start;
  EXPECT_GE(took, milliseconds(50));
  EXPECT_LT(took, milliseconds(1000));

  grpc::ClientContext in_time;
  in_time.set_deadline(system_clock::now() + milliseconds(5000));
  request.set_milliseconds(1);
  ASSERT_TRUE(stub().Wait(&in_time, request, &response).ok());
  EXPECT_GT(response.deadline_milliseconds(), 3000);
  EXPECT_LE(response.deadline_milliseconds(), 5100);
}

TEST_P(ConformanceTest, PassedDeadlineNeverReachesTheHandler) {
  const int before = ConformanceService::handled();
  grpc::ClientContext context;
  context.set_deadline(system_clock::now() - milliseconds(1));
  v1::EchoResponse response;
  EXPECT_EQ(stub().Echo(&context, EchoOf(""), &response).error_code(),
            grpc::StatusCode::DEADLINE_EXCEEDED);
  EXPECT_EQ(ConformanceService::handled(), before);
}

TEST_P(ConformanceTest, CancelEndsACallOnBothSides) {
  const int before = ConformanceService::cancelled();
  v1::WaitRequest request;
  request.set_word("yes");
  request.set_milliseconds(10'000);
  grpc::ClientContext context;
  v1::Conformance::StubInterface& ready = stub();
  std::thread canceller([&context] {
    std::this_thread::sleep_for(milliseconds(50));
    context.TryCancel();
  });
  v1::WaitResponse response;
  EXPECT_EQ(ready.Wait(&context, request, &response).error_code(), grpc::StatusCode::CANCELLED);
  canceller.join();
  for (int i = 0; i < 10'000 && ConformanceService::cancelled() == before; ++i) {
    std::this_thread::sleep_for(milliseconds(1));
  }
  EXPECT_GT(ConformanceService::cancelled(), before);
}

TEST_P(ConformanceTest, ManyThreadsShareOneChannel) {
  std::vector<std::thread> threads;
  for (int t = 0; t < 16; ++t) {
    threads.emplace_back([this, t] {
      for (int i = 0; i < 50; ++i) {
        grpc::ClientContext context;
        v1::EchoResponse response;
        const std::string payload = std::to_string(t * 1000 + i);
        const grpc::Status status = stub().Echo(&context, EchoOf(payload), &response);
        ASSERT_TRUE(status.ok()) << status.error_message();
        ASSERT_EQ(response.payload(), payload);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

void EchoTimes(v1::Conformance::StubInterface& stub, int times) {
  for (int i = 0; i < times; ++i) {
    grpc::ClientContext context;
    v1::EchoResponse response;
    ASSERT_TRUE(stub.Echo(&context, EchoOf("x"), &response).ok());
  }
}

// A call that takes long, and others beside it.
void ExpectOthersBesideASlowCall(v1::Conformance::StubInterface& stub) {
  std::thread slow([&stub] {
    v1::WaitRequest request;
    request.set_word("yes");
    request.set_milliseconds(1500);
    grpc::ClientContext context;
    v1::WaitResponse response;
    EXPECT_TRUE(stub.Wait(&context, request, &response).ok());
  });
  std::this_thread::sleep_for(milliseconds(15));
  const auto start = system_clock::now();
  EchoTimes(stub, 20);
  EXPECT_LT(system_clock::now() - start, milliseconds(1000));
  slow.join();
}

TEST_P(ConformanceTest, SlowCallDelaysNoOtherOfItsChannel) { ExpectOthersBesideASlowCall(stub()); }

// A lane that is busy is read in another way (serving/events/loop_threads.h).
TEST_P(ConformanceTest, SlowCallDelaysNoOtherOfABusyChannel) {
  EchoTimes(stub(), on_lane() ? 500 : 50);
  ExpectOthersBesideASlowCall(stub());
}

// Callback calls.

TEST_P(ConformanceTest, CallbackUnaryAnswers) {
  constexpr int kCalls = 20;
  std::mutex mutex;
  std::condition_variable all;
  int done = 0;
  std::vector<std::unique_ptr<grpc::ClientContext>> contexts;
  std::vector<v1::EchoRequest> requests(kCalls);
  std::vector<v1::EchoResponse> responses(kCalls);
  for (int i = 0; i < kCalls; ++i) {
    contexts.push_back(std::make_unique<grpc::ClientContext>());
    requests[i] = EchoOf(std::to_string(i), i % 2 == 0 ? "yes" : "no");
  }
  for (int i = 0; i < kCalls; ++i) {
    stub().async()->Echo(contexts[i].get(), &requests[i], &responses[i], [&, i](grpc::Status s) {
      if (i % 2 == 0) {
        EXPECT_TRUE(s.ok()) << s.error_message();
        EXPECT_EQ(responses[i].payload(), std::to_string(i));
      } else {
        ExpectDenied(s, Denial::NOT_IN_LIMITS, "words");
      }
      const std::lock_guard<std::mutex> lock(mutex);
      ++done;
      all.notify_one();
    });
  }
  std::unique_lock<std::mutex> lock(mutex);
  EXPECT_TRUE(all.wait_for(lock, std::chrono::seconds(10), [&] { return done == kCalls; }));
}

class UnaryReactor final : public grpc::ClientUnaryReactor {
 public:
  void OnDone(const grpc::Status& status) override {
    const std::lock_guard<std::mutex> lock(mutex_);
    status_ = status;
    ended_.notify_one();
  }
  grpc::Status Await() {
    std::unique_lock<std::mutex> lock(mutex_);
    ended_.wait(lock, [this] { return status_.has_value(); });
    return *status_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable ended_;
  std::optional<grpc::Status> status_;
};

TEST_P(ConformanceTest, ReactorOfAUnaryCallSeesAnswerDeadlineAndCancel) {
  v1::WaitRequest request;
  request.set_word("yes");
  v1::WaitResponse response;
  {
    grpc::ClientContext context;
    UnaryReactor reactor;
    stub().async()->Wait(&context, &request, &response, &reactor);
    reactor.StartCall();
    EXPECT_TRUE(reactor.Await().ok());
  }
  request.set_milliseconds(10'000);
  {
    grpc::ClientContext context;
    context.set_deadline(system_clock::now() + milliseconds(60));
    UnaryReactor reactor;
    stub().async()->Wait(&context, &request, &response, &reactor);
    reactor.StartCall();
    EXPECT_EQ(reactor.Await().error_code(), grpc::StatusCode::DEADLINE_EXCEEDED);
  }
  {
    grpc::ClientContext context;
    UnaryReactor reactor;
    stub().async()->Wait(&context, &request, &response, &reactor);
    reactor.StartCall();
    std::this_thread::sleep_for(milliseconds(20));
    context.TryCancel();
    EXPECT_EQ(reactor.Await().error_code(), grpc::StatusCode::CANCELLED);
  }
}

TEST_P(ConformanceTest, CompletionQueueUnaryAnswers) {
  grpc::CompletionQueue queue;
  grpc::ClientContext context;
  v1::EchoResponse response;
  grpc::Status status;
  auto reader = stub().AsyncEcho(&context, EchoOf("queued"), &queue);
  reader->Finish(&response, &status, &status);
  void* tag;
  bool ok;
  ASSERT_TRUE(queue.Next(&tag, &ok));
  EXPECT_EQ(tag, &status);
  EXPECT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(response.payload(), "queued");
  queue.Shutdown();
  while (queue.Next(&tag, &ok)) {
  }
}

}  // namespace
}  // namespace capbroker::testing
