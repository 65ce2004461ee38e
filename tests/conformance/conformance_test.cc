// Every kind of rpc on both paths: the lane's client, the generated stub's wire,
// and a stock gRPC client that was given nothing but the wire's descriptor. All of it a second
// time through a proxy that holds a channel of the service.
#include <grpc/grpc.h>
#include <grpcpp/create_channel_posix.h>

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <tuple>
#include <utility>
#include <vector>

#include "base/status_matchers.h"
#include "tests/conformance/conformance.capbroker.h"
#include "tests/conformance/conformance.dispatch.h"
#include "tests/conformance/conformance.proxy.h"
#include "tests/conformance/conformance_service.h"
#include "tests/conformance/local_family.h"
#include "transport/grpc_status.h"

namespace capbroker::testing {
namespace {

using ::capbroker::v1::Denial;
using std::chrono::milliseconds;
using std::chrono::system_clock;

enum class Path { kLane, kStubsWire, kStockClient };

enum class Served { kDirectly, kByProxy };

using Param = std::tuple<Path, Served>;

std::string ParamName(const ::testing::TestParamInfo<Param>& info) {
  const std::string by = std::get<Served>(info.param) == Served::kByProxy ? "ByProxy" : "";
  switch (std::get<Path>(info.param)) {
    case Path::kLane:
      return "Lane" + by;
    case Path::kStubsWire:
      return "StubsWire" + by;
    case Path::kStockClient:
      return "StockClient" + by;
  }
  return "";
}

v1::ConformanceLimits Words(std::vector<std::string> words) {
  v1::ConformanceLimits limits;
  for (std::string& word : words) limits.add_words(std::move(word));
  return limits;
}

// A family, its channel, and a stub of the path under test.
class ConformanceTest : public ::testing::TestWithParam<Param> {
 protected:
  ConformanceTest()
      : family_(Service(), Words({"yes", "also"})),
        channel_(std::make_shared<Channel>(family_.TakeLane())) {
    switch (path()) {
      case Path::kLane:
        stub_ = NewStub<v1::Conformance>(channel_);
        break;
      case Path::kStubsWire:
        stub_ = v1::Conformance::NewStub(channel_->GrpcOrFailing());
        break;
      case Path::kStockClient: {
        absl::StatusOr<UniqueFd> wire = channel_->OpenWire();
        EXPECT_OK(wire);
        grpc::ChannelArguments arguments;
        arguments.SetMaxReceiveMessageSize(-1);
        stub_ = v1::Conformance::NewStub(grpc::CreateCustomInsecureChannelFromFd(
            "stock", std::move(*wire).Release(), arguments));
        break;
      }
    }
  }

  // gRPC's core stays in this process: ending it takes ten seconds now and then.
  static void SetUpTestSuite() { grpc_init(); }

  static Path path() { return std::get<Path>(GetParam()); }
  v1::Conformance::StubInterface& stub() { return *stub_; }

  // What the family under test serves.
  std::unique_ptr<serving::Dispatch> Service() {
    std::unique_ptr<serving::Dispatch> service =
        v1::CapbrokerMakeDispatch(std::make_unique<ConformanceService>());
    if (std::get<Served>(GetParam()) == Served::kDirectly) return service;
    // Wider than the proxy's: what is refused is refused by the proxy.
    upstream_ = std::make_unique<LocalFamily>(std::move(service), Words({"*"}));
    serving::ServiceInputs inputs;
    inputs.upstream = std::make_shared<serving::UpstreamChannel>(upstream_->TakeLane());
    return serving::MakeProxy<v1::Conformance>(inputs, std::make_unique<Interposer>());
  }

  std::unique_ptr<LocalFamily> upstream_;
  LocalFamily family_;
  std::shared_ptr<Channel> channel_;
  std::unique_ptr<v1::Conformance::StubInterface> stub_;
};

INSTANTIATE_TEST_SUITE_P(Paths, ConformanceTest,
                         ::testing::Combine(::testing::Values(Path::kLane, Path::kStubsWire,
                                                              Path::kStockClient),
                                            ::testing::Values(Served::kDirectly, Served::kByProxy)),
                         ParamName);

v1::EchoRequest EchoOf(std::string payload, std::string word = "yes") {
  v1::EchoRequest request;
  request.set_word(std::move(word));
  request.set_payload(std::move(payload));
  request.set_times(1);
  return request;
}

void ExpectDenied(const grpc::Status& status, Denial::Reason reason, const std::string& field) {
  EXPECT_EQ(status.error_code(), grpc::StatusCode::PERMISSION_DENIED) << status.error_message();
  const std::optional<Denial> denial = DenialOf(status);
  ASSERT_TRUE(denial.has_value());
  EXPECT_EQ(denial->reason(), reason);
  EXPECT_EQ(denial->field(), field);
}

// Unary.

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
  grpc::ClientContext context;
  context.set_deadline(system_clock::now() + milliseconds(60));
  v1::WaitResponse response;
  const auto start = system_clock::now();
  EXPECT_EQ(stub().Wait(&context, request, &response).error_code(),
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
  std::thread canceller([&context] {
    std::this_thread::sleep_for(milliseconds(50));
    context.TryCancel();
  });
  v1::WaitResponse response;
  EXPECT_EQ(stub().Wait(&context, request, &response).error_code(), grpc::StatusCode::CANCELLED);
  canceller.join();
  for (int i = 0; i < 1000 && ConformanceService::cancelled() == before; ++i) {
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

TEST_P(ConformanceTest, SlowCallDelaysNoOtherOfItsChannel) {
  std::thread slow([this] {
    v1::WaitRequest request;
    request.set_word("yes");
    request.set_milliseconds(1500);
    grpc::ClientContext context;
    v1::WaitResponse response;
    EXPECT_TRUE(stub().Wait(&context, request, &response).ok());
  });
  std::this_thread::sleep_for(milliseconds(50));
  const auto start = system_clock::now();
  for (int i = 0; i < 20; ++i) {
    grpc::ClientContext context;
    v1::EchoResponse response;
    ASSERT_TRUE(stub().Echo(&context, EchoOf("x"), &response).ok());
  }
  EXPECT_LT(system_clock::now() - start, milliseconds(1000));
  slow.join();
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

// Streams.

TEST_P(ConformanceTest, ServerStreamDeliversEveryMessage) {
  v1::CountRequest request;
  request.set_word("yes");
  request.set_to(100);
  grpc::ClientContext context;
  auto reader = stub().Count(&context, request);
  v1::CountResponse response;
  uint32_t count = 0;
  while (reader->Read(&response)) EXPECT_EQ(response.value(), ++count);
  EXPECT_TRUE(reader->Finish().ok());
  EXPECT_EQ(count, 100u);
}

TEST_P(ConformanceTest, ServerStreamIsCheckedBeforeItsHandler) {
  const int before = ConformanceService::handled();
  v1::CountRequest request;
  request.set_word("no");
  request.set_to(1);
  grpc::ClientContext context;
  auto reader = stub().Count(&context, request);
  v1::CountResponse response;
  EXPECT_FALSE(reader->Read(&response));
  ExpectDenied(reader->Finish(), Denial::NOT_IN_LIMITS, "words");
  EXPECT_EQ(ConformanceService::handled(), before);
}

TEST_P(ConformanceTest, ServerStreamEndsByCancelAndDeadline) {
  const int before = ConformanceService::cancelled();
  v1::CountRequest request;
  request.set_word("yes");
  request.set_to(100'000);
  request.set_milliseconds(1);
  v1::CountResponse response;
  {
    grpc::ClientContext context;
    auto reader = stub().Count(&context, request);
    ASSERT_TRUE(reader->Read(&response));
    context.TryCancel();
    while (reader->Read(&response)) {
    }
    EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::CANCELLED);
  }
  {
    grpc::ClientContext context;
    context.set_deadline(system_clock::now() + milliseconds(60));
    auto reader = stub().Count(&context, request);
    while (reader->Read(&response)) {
    }
    EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::DEADLINE_EXCEEDED);
  }
  for (int i = 0; i < 2000 && ConformanceService::cancelled() < before + 2; ++i) {
    std::this_thread::sleep_for(milliseconds(1));
  }
  EXPECT_GE(ConformanceService::cancelled(), before + 2);
}

v1::SumRequest Addend(uint32_t value, std::string word = "yes") {
  v1::SumRequest request;
  request.set_word(std::move(word));
  request.set_value(value);
  return request;
}

TEST_P(ConformanceTest, ClientStreamDeliversEveryMessage) {
  grpc::ClientContext context;
  v1::SumResponse response;
  auto writer = stub().Sum(&context, &response);
  for (uint32_t i = 1; i <= 100; ++i) ASSERT_TRUE(writer->Write(Addend(i)));
  writer->WritesDone();
  const grpc::Status status = writer->Finish();
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(response.sum(), 5050u);
  EXPECT_EQ(response.messages(), 100u);
}

TEST_P(ConformanceTest, EmptyClientStreamAnswers) {
  grpc::ClientContext context;
  v1::SumResponse response;
  auto writer = stub().Sum(&context, &response);
  writer->WritesDone();
  ASSERT_TRUE(writer->Finish().ok());
  EXPECT_EQ(response.messages(), 0u);
}

TEST_P(ConformanceTest, ClientStreamIsCheckedMessageByMessage) {
  grpc::ClientContext context;
  v1::SumResponse response;
  auto writer = stub().Sum(&context, &response);
  writer->Write(Addend(1));
  writer->Write(Addend(2, "no"));
  writer->WritesDone();
  ExpectDenied(writer->Finish(), Denial::NOT_IN_LIMITS, "words");
}

TEST_P(ConformanceTest, HandlerMayEndAClientStreamEarly) {
  grpc::ClientContext context;
  v1::SumResponse response;
  auto writer = stub().Sum(&context, &response);
  v1::SumRequest last = Addend(7);
  last.set_stop(true);
  ASSERT_TRUE(writer->Write(last));
  const grpc::Status status = writer->Finish();  // without WritesDone()
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(response.sum(), 7u);
}

v1::ChatRequest Said(std::string payload, std::string word = "yes") {
  v1::ChatRequest request;
  request.set_word(std::move(word));
  request.set_payload(std::move(payload));
  return request;
}

TEST_P(ConformanceTest, BidiStreamGoesBackAndForth) {
  grpc::ClientContext context;
  auto stream = stub().Chat(&context);
  v1::ChatResponse response;
  for (int i = 0; i < 50; ++i) {
    ASSERT_TRUE(stream->Write(Said(std::to_string(i))));
    ASSERT_TRUE(stream->Read(&response));
    EXPECT_EQ(response.payload(), std::to_string(i));
  }
  const std::string big(3 << 20, 'b');
  ASSERT_TRUE(stream->Write(Said(big)));
  ASSERT_TRUE(stream->Read(&response));
  EXPECT_TRUE(response.payload() == big);
  stream->WritesDone();
  EXPECT_FALSE(stream->Read(&response));
  EXPECT_TRUE(stream->Finish().ok());
  EXPECT_EQ(context.GetServerTrailingMetadata().count("x-chat"), 1u);
}

TEST_P(ConformanceTest, BidiStreamIsCheckedMessageByMessage) {
  grpc::ClientContext context;
  auto stream = stub().Chat(&context);
  v1::ChatResponse response;
  ASSERT_TRUE(stream->Write(Said("first")));
  ASSERT_TRUE(stream->Read(&response));
  stream->Write(Said("second", "no"));
  // The handler must never have had it to send back.
  while (stream->Read(&response)) EXPECT_NE(response.payload(), "second");
  ExpectDenied(stream->Finish(), Denial::NOT_IN_LIMITS, "words");
}

TEST_P(ConformanceTest, BidiStreamEndsByCancel) {
  const int before = ConformanceService::cancelled();
  grpc::ClientContext context;
  auto stream = stub().Chat(&context);
  v1::ChatResponse response;
  ASSERT_TRUE(stream->Write(Said("x")));
  ASSERT_TRUE(stream->Read(&response));
  context.TryCancel();
  EXPECT_FALSE(stream->Read(&response));
  EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::CANCELLED);
  for (int i = 0; i < 2000 && ConformanceService::cancelled() == before; ++i) {
    std::this_thread::sleep_for(milliseconds(1));
  }
  EXPECT_GT(ConformanceService::cancelled(), before);
}

// The channel's own authority, seen on both paths.

TEST_P(ConformanceTest, NarrowingBindsTheNextCall) {
  grpc::ClientContext before;
  v1::EchoResponse response;
  ASSERT_TRUE(stub().Echo(&before, EchoOf("", "also"), &response).ok());
  ASSERT_OK(channel_->Narrow(Words({"yes"})));
  grpc::ClientContext after;
  ExpectDenied(stub().Echo(&after, EchoOf("", "also"), &response), Denial::NOT_IN_LIMITS, "words");
  grpc::ClientContext still;
  EXPECT_TRUE(stub().Echo(&still, EchoOf("", "yes"), &response).ok());
}

TEST_P(ConformanceTest, RevocationEndsCallsInFlightAndLaterOnes) {
  v1::WaitRequest request;
  request.set_word("yes");
  request.set_milliseconds(5000);
  std::thread revoker([this] {
    std::this_thread::sleep_for(milliseconds(80));
    family_.Revoke();
  });
  grpc::ClientContext context;
  v1::WaitResponse waited;
  const auto start = system_clock::now();
  const grpc::Status in_flight = stub().Wait(&context, request, &waited);
  EXPECT_FALSE(in_flight.ok());
  EXPECT_LT(system_clock::now() - start, milliseconds(3000));
  revoker.join();
  if (path() == Path::kLane) ExpectDenied(in_flight, Denial::REVOKED, "");
  grpc::ClientContext later;
  v1::EchoResponse response;
  const grpc::Status after = stub().Echo(&later, EchoOf(""), &response);
  if (path() == Path::kLane) {
    ExpectDenied(after, Denial::REVOKED, "");
  } else {
    EXPECT_FALSE(after.ok());
  }
}

}  // namespace
}  // namespace capbroker::testing
