// What an interposer can do with each kind of rpc, and what comes through a proxy that
// should not.
#include <grpc/grpc.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/status_matchers.h"
#include "serving/interposition/interposer.h"
#include "serving/interposition/proxy.h"
#include "serving/upstream_channel.h"
#include "tests/conformance/conformance.capbroker.h"
#include "tests/conformance/conformance.dispatch.h"
#include "tests/conformance/conformance.proxy.h"
#include "tests/conformance/conformance_service.h"
#include "tests/conformance/local_family.h"
#include "transport/call_descriptors.h"
#include "transport/grpc_status.h"
#include "transport/lane_socket.h"
#include "transport/packet.h"

namespace capbroker::testing {
namespace {

using ::capbroker::v1::Denial;
using google::protobuf::DynamicCastToGenerated;
using google::protobuf::Message;

v1::ConformanceLimits Words(const std::vector<std::string>& words) {
  v1::ConformanceLimits limits;
  for (const std::string& word : words) limits.add_words(word);
  return limits;
}

// Functions in the place of hooks, and a count of those that ran.
struct Hooks {
  std::function<std::optional<grpc::Status>(InterposedCall&, Message&)> on_request;
  std::function<grpc::Status(InterposedCall&, Message&)> on_response;
  std::function<grpc::Status(grpc::Status)> on_done;
  bool may_pass = false;
  std::atomic<int> requests{0}, responses{0}, ends{0}, at_once{0}, most_at_once{0};
};

class Hooked : public Interposer {
 public:
  explicit Hooked(Hooks* hooks) : hooks_(*hooks) {}

  std::optional<grpc::Status> OnRequest(InterposedCall& call, Message& request) override {
    ++hooks_.requests;
    hooks_.most_at_once = std::max<int>(hooks_.most_at_once, ++hooks_.at_once);
    const auto result = hooks_.on_request ? hooks_.on_request(call, request) : std::nullopt;
    --hooks_.at_once;
    return result;
  }
  grpc::Status OnResponse(InterposedCall& call, Message& response) override {
    ++hooks_.responses;
    return hooks_.on_response ? hooks_.on_response(call, response) : grpc::Status::OK;
  }
  grpc::Status OnDone(InterposedCall&, grpc::Status status) override {
    ++hooks_.ends;
    return hooks_.on_done ? hooks_.on_done(status) : status;
  }
  bool MayPass(InterposedCall&, const google::protobuf::FieldDescriptor&,
               absl::string_view) override {
    return hooks_.may_pass;
  }

 private:
  Hooks& hooks_;
};

// A service, and a proxy of it with the test's hooks.
class Interposed {
 public:
  // Null: the ConformanceService.
  explicit Interposed(std::unique_ptr<serving::Dispatch> service = nullptr,
                      bool upstream_wire = true)
      : upstream_(std::make_unique<LocalFamily>(
            service != nullptr ? std::move(service)
                               : v1::CapbrokerMakeDispatch(std::make_unique<ConformanceService>()),
            Words({"*"}), serving::LaneServerOptions(), upstream_wire)),
        proxy_(std::make_unique<LocalFamily>(Proxy(), Words({"yes"}))),
        channel_(std::make_shared<Channel>(proxy_->TakeLane())),
        stub_(NewStub<v1::Conformance>(channel_)) {}

  Hooks& hooks() { return hooks_; }
  std::shared_ptr<Channel>& channel() { return channel_; }
  v1::Conformance::StubInterface& stub() { return *stub_; }
  // Everything on the wire.
  std::unique_ptr<v1::Conformance::StubInterface> WireStub() {
    return v1::Conformance::NewStub(channel_->GrpcOrFailing());
  }
  LocalFamily& upstream() { return *upstream_; }
  void DropUpstream() { upstream_.reset(); }

 private:
  std::unique_ptr<serving::Dispatch> Proxy() {
    serving::ServiceInputs inputs;
    inputs.upstream = std::make_shared<serving::UpstreamChannel>(upstream_->TakeLane());
    return serving::MakeProxy<v1::Conformance>(inputs, std::make_unique<Hooked>(&hooks_));
  }

  Hooks hooks_;
  std::unique_ptr<LocalFamily> upstream_;
  std::unique_ptr<LocalFamily> proxy_;
  std::shared_ptr<Channel> channel_;
  std::unique_ptr<v1::Conformance::StubInterface> stub_;
};

class InterposedTest : public ::testing::Test {
 protected:
  // gRPC's core stays in this process: ending it takes ten seconds now and then.
  static void SetUpTestSuite() { grpc_init(); }
};

grpc::Status Echo(v1::Conformance::StubInterface& stub, v1::EchoResponse* response = nullptr) {
  grpc::ClientContext context;
  v1::EchoRequest request;
  request.set_word("yes");
  request.set_payload("x");
  request.set_times(1);
  v1::EchoResponse unused;
  return stub.Echo(&context, request, response == nullptr ? &unused : response);
}

v1::CountRequest CountTo(uint32_t to) {
  v1::CountRequest request;
  request.set_word("yes");
  request.set_to(to);
  return request;
}

v1::SumRequest Addend(uint32_t value) {
  v1::SumRequest request;
  request.set_word("yes");
  request.set_value(value);
  return request;
}

v1::ChatRequest Said(const std::string& payload) {
  v1::ChatRequest request;
  request.set_word("yes");
  request.set_payload(payload);
  return request;
}

TEST_F(InterposedTest, UnaryIsChangedBothWays) {
  Interposed interposed;
  interposed.hooks().on_request = [](InterposedCall& call, Message& request) {
    EXPECT_EQ(call.method().name(), "Echo");
    DynamicCastToGenerated<v1::EchoRequest>(&request)->set_payload("changed");
    return std::nullopt;
  };
  interposed.hooks().on_response = [](InterposedCall&, Message& response) {
    DynamicCastToGenerated<v1::EchoResponse>(&response)->mutable_payload()->append(" twice");
    return grpc::Status::OK;
  };
  v1::EchoResponse response;
  ASSERT_TRUE(Echo(interposed.stub(), &response).ok());
  EXPECT_EQ(response.payload(), "changed twice");
  ASSERT_TRUE(Echo(*interposed.WireStub(), &response).ok());
  EXPECT_EQ(response.payload(), "changed twice");
  EXPECT_EQ(interposed.hooks().ends, 2);
}

TEST_F(InterposedTest, OnDoneHasTheLastWord) {
  Interposed interposed;
  interposed.hooks().on_done = [](const grpc::Status& status) {
    return status.ok() ? grpc::Status(grpc::StatusCode::ABORTED, "not today") : status;
  };
  EXPECT_EQ(Echo(interposed.stub()).error_code(), grpc::StatusCode::ABORTED);
  grpc::ClientContext context;
  auto stream = interposed.stub().Chat(&context);
  stream->WritesDone();
  EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::ABORTED);
}

TEST_F(InterposedTest, ServerStreamIsSeenFilteredAndFaked) {
  Interposed interposed;
  interposed.hooks().on_response = [](InterposedCall&, Message& response) {
    auto& count = *DynamicCastToGenerated<v1::CountResponse>(&response);
    if (count.value() == 4) return grpc::Status(grpc::StatusCode::OUT_OF_RANGE, "four");
    count.set_value(count.value() * 10);
    return grpc::Status::OK;
  };
  v1::CountResponse response;
  {
    grpc::ClientContext context;
    auto reader = interposed.stub().Count(&context, CountTo(100));
    std::vector<uint32_t> values;
    while (reader->Read(&response)) values.push_back(response.value());
    EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::OUT_OF_RANGE);
    EXPECT_EQ(values, (std::vector<uint32_t>{10, 20, 30}));
  }
  const int handled = ConformanceService::handled();
  interposed.hooks().on_request = [](InterposedCall& call, Message&) {
    for (uint32_t value : {7u, 8u}) {
      static_cast<v1::CountResponse&>(call.AddAnswer()).set_value(value);
    }
    return grpc::Status::OK;
  };
  grpc::ClientContext context;
  auto reader = interposed.stub().Count(&context, CountTo(100));
  std::vector<uint32_t> values;
  while (reader->Read(&response)) values.push_back(response.value());
  EXPECT_TRUE(reader->Finish().ok());
  EXPECT_EQ(values, (std::vector<uint32_t>{7, 8}));
  EXPECT_EQ(ConformanceService::handled(), handled);
}

TEST_F(InterposedTest, ClientStreamIsSeenMessageByMessageAndFaked) {
  Interposed interposed;
  interposed.hooks().on_request = [](InterposedCall& call,
                                     Message& request) -> std::optional<grpc::Status> {
    auto& addend = *DynamicCastToGenerated<v1::SumRequest>(&request);
    if (addend.value() == 13) return grpc::Status(grpc::StatusCode::OUT_OF_RANGE, "unlucky");
    if (addend.value() == 99) {
      static_cast<v1::SumResponse&>(call.AddAnswer()).set_sum(4711);
      return grpc::Status::OK;
    }
    addend.set_value(addend.value() * 2);
    return std::nullopt;
  };
  const auto sum = [&](std::vector<uint32_t> addends, v1::SumResponse* response) {
    grpc::ClientContext context;
    auto writer = interposed.stub().Sum(&context, response);
    for (const uint32_t addend : addends) writer->Write(Addend(addend));
    writer->WritesDone();
    return writer->Finish();
  };
  v1::SumResponse response;
  EXPECT_TRUE(sum({1, 2, 3}, &response).ok());
  EXPECT_EQ(response.sum(), 12u);
  EXPECT_EQ(interposed.hooks().responses, 1);
  EXPECT_EQ(sum({1, 13, 3}, &response).error_code(), grpc::StatusCode::OUT_OF_RANGE);
  EXPECT_TRUE(sum({1, 99, 3}, &response).ok());
  EXPECT_EQ(response.sum(), 4711u);
  EXPECT_EQ(interposed.hooks().ends, 3);
}

TEST_F(InterposedTest, BidiStreamIsSeenMessageByMessageAndFaked) {
  Interposed interposed;
  interposed.hooks().on_request = [](InterposedCall& call,
                                     Message& request) -> std::optional<grpc::Status> {
    auto& said = *DynamicCastToGenerated<v1::ChatRequest>(&request);
    if (said.payload() != "fake") return std::nullopt;
    for (const char* answer : {"one", "two", "three"}) {
      static_cast<v1::ChatResponse&>(call.AddAnswer()).set_payload(answer);
    }
    return grpc::Status::OK;
  };
  interposed.hooks().on_response = [](InterposedCall&, Message& response) {
    DynamicCastToGenerated<v1::ChatResponse>(&response)->mutable_payload()->append("!");
    return grpc::Status::OK;
  };
  grpc::ClientContext context;
  auto stream = interposed.stub().Chat(&context);
  v1::ChatResponse response;
  ASSERT_TRUE(stream->Write(Said("hello")));
  ASSERT_TRUE(stream->Read(&response));
  EXPECT_EQ(response.payload(), "hello!");
  ASSERT_TRUE(stream->Write(Said("fake")));
  std::vector<std::string> answers;
  while (stream->Read(&response)) answers.push_back(response.payload());
  EXPECT_TRUE(stream->Finish().ok());
  EXPECT_EQ(answers, (std::vector<std::string>{"one", "two", "three"}));
  EXPECT_EQ(interposed.hooks().ends, 1);
}

TEST_F(InterposedTest, RefusedAnswerEndsABidiStream) {
  Interposed interposed;
  interposed.hooks().on_response = [](InterposedCall&, Message&) {
    return grpc::Status(grpc::StatusCode::DATA_LOSS, "no");
  };
  grpc::ClientContext context;
  auto stream = interposed.stub().Chat(&context);
  v1::ChatResponse response;
  stream->Write(Said("hello"));
  EXPECT_FALSE(stream->Read(&response));
  EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::DATA_LOSS);
}

TEST_F(InterposedTest, StreamsNeedAWireUpstream) {
  Interposed interposed(nullptr, /*upstream_wire=*/false);
  const auto expect_refused = [](const grpc::Status& status) {
    EXPECT_EQ(status.error_code(), grpc::StatusCode::FAILED_PRECONDITION) << status.error_message();
  };
  {
    grpc::ClientContext context;
    expect_refused(interposed.stub().Chat(&context)->Finish());
  }
  {
    grpc::ClientContext context;
    v1::SumResponse response;
    expect_refused(interposed.stub().Sum(&context, &response)->Finish());
  }
  {
    grpc::ClientContext context;
    expect_refused(interposed.stub().Count(&context, CountTo(1))->Finish());
  }
  EXPECT_TRUE(Echo(interposed.stub()).ok());
}

TEST_F(InterposedTest, SlowHooksOfAStreamDelayNoOther) {
  Interposed interposed;
  interposed.hooks().on_request = [](InterposedCall& call,
                                     Message& request) -> std::optional<grpc::Status> {
    const auto* said = DynamicCastToGenerated<v1::ChatRequest>(&request);
    if (said == nullptr || said->payload() != "slow") return std::nullopt;
    const grpc::Status waited = call.WaitFor(absl::Seconds(30));
    return waited.ok() ? std::nullopt : std::optional(waited);
  };
  // More than gRPC has threads for reactors.
  std::vector<std::unique_ptr<grpc::ClientContext>> contexts;
  std::vector<std::unique_ptr<grpc::ClientReaderWriterInterface<v1::ChatRequest, v1::ChatResponse>>>
      slow;
  for (int i = 0; i < 20; ++i) {
    contexts.push_back(std::make_unique<grpc::ClientContext>());
    slow.push_back(interposed.stub().Chat(contexts.back().get()));
    slow.back()->Write(Said("slow"));
  }
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
  auto quick = interposed.stub().Chat(&context);
  v1::ChatResponse response;
  quick->Write(Said("quick"));
  EXPECT_TRUE(quick->Read(&response));
  quick->WritesDone();
  EXPECT_TRUE(quick->Finish().ok());
  for (size_t i = 0; i < slow.size(); ++i) {
    contexts[i]->TryCancel();
    EXPECT_EQ(slow[i]->Finish().error_code(), grpc::StatusCode::CANCELLED);
  }
  EXPECT_GE(interposed.hooks().most_at_once, 20);
}

TEST_F(InterposedTest, CallerThatGoesAwayCancelsUpstream) {
  const int before = ConformanceService::cancelled();
  Interposed interposed;
  ASSERT_OK_AND_ASSIGN(const std::shared_ptr<Channel> clone, interposed.channel()->Clone());
  std::thread caller([&] {
    grpc::ClientContext context;
    v1::WaitRequest request;
    request.set_word("yes");
    request.set_milliseconds(20'000);
    v1::WaitResponse response;
    EXPECT_EQ(NewStub<v1::Conformance>(clone)->Wait(&context, request, &response).error_code(),
              grpc::StatusCode::UNAVAILABLE);
  });
  absl::SleepFor(absl::Milliseconds(100));
  clone->Close();
  caller.join();
  for (int i = 0; i < 10'000 && ConformanceService::cancelled() == before; ++i) {
    absl::SleepFor(absl::Milliseconds(1));
  }
  EXPECT_EQ(ConformanceService::cancelled(), before + 1);
}

TEST_F(InterposedTest, EndOfWhatIsUpstreamEndsStreams) {
  Interposed interposed;
  grpc::ClientContext context;
  auto stream = interposed.stub().Chat(&context);
  v1::ChatResponse response;
  ASSERT_TRUE(stream->Write(Said("x")));
  ASSERT_TRUE(stream->Read(&response));
  interposed.DropUpstream();
  EXPECT_FALSE(stream->Read(&response));
  EXPECT_FALSE(stream->Finish().ok());
  grpc::ClientContext later;
  auto again = interposed.stub().Chat(&later);
  EXPECT_EQ(again->Finish().error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(Echo(interposed.stub()).error_code(), grpc::StatusCode::UNAVAILABLE);
}

// TRUST(worker)
class Malformed : public v1::Conformance::Service {
  grpc::Status Echo(grpc::ServerContext* context, const v1::EchoRequest*,
                    v1::EchoResponse* response) override {
    context->AddInitialMetadata("Capital Letters", "x");
    context->AddInitialMetadata("x-value", "\x01\x7f\n");
    context->AddTrailingMetadata("grpc-status", "7");
    context->AddTrailingMetadata("x-good", "good");
    response->set_payload("answered");
    return grpc::Status::OK;
  }
};

TEST_F(InterposedTest, MetadataThatHttp2DoesNotAllowIsDropped) {
  Interposed interposed(v1::CapbrokerMakeDispatch(std::make_unique<Malformed>()));
  v1::EchoResponse response;
  const auto wire = interposed.WireStub();
  grpc::ClientContext context;
  v1::EchoRequest request;
  request.set_word("yes");
  const grpc::Status status = wire->Echo(&context, request, &response);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(context.GetServerInitialMetadata().count("x-value"), 0u);
  EXPECT_EQ(context.GetServerTrailingMetadata().count("x-good"), 1u);
}

TEST_F(InterposedTest, MethodThatGivesADescriptorIsNotForwardedFromAWire) {
  Interposed interposed;
  const int before = ConformanceService::handled();
  grpc::ClientContext context;
  v1::ExchangeRequest request;
  request.set_word("yes");
  v1::ExchangeResponse response;
  EXPECT_EQ(interposed.WireStub()->Exchange(&context, request, &response).error_code(),
            grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_EQ(ConformanceService::handled(), before);
}

// INVARIANT(membrane)
TEST_F(InterposedTest, ChannelInARequestDoesNotPass) {
  Interposed interposed;
  const auto exchange = [&] {
    grpc::ClientContext context;
    CallDescriptors descriptors(&context);
    v1::ExchangeRequest request;
    request.set_word("yes");
    absl::StatusOr<transport::LanePair> lane =
        transport::MakeLane(transport::ClientDescriptors::kRefused);
    descriptors.Attach(std::move(lane->client), request.mutable_channel());
    v1::ExchangeResponse response;
    return interposed.stub().Exchange(&context, request, &response);
  };
  const std::optional<Denial> denial = DenialOf(exchange());
  ASSERT_TRUE(denial.has_value());
  EXPECT_EQ(denial->reason(), Denial::OBJECT_REFUSED);
  EXPECT_EQ(denial->field(), "channel");
  interposed.hooks().may_pass = true;
  EXPECT_TRUE(exchange().ok());
}

// INVARIANT(one-holder-per-end)
TEST_F(InterposedTest, AnswerThatAPredecessorLeftIsNotTakenForOnesOwn) {
  LocalFamily family(v1::CapbrokerMakeDispatch(std::make_unique<ConformanceService>()),
                     Words({"yes"}));
  UniqueFd lane = family.TakeLane();
  // Calls as a predecessor numbers them, whose answers it did not live to read.
  transport::PacketHeader header = {};
  header.type = transport::PacketType::kRequest;
  header.method = transport::MethodId("/capbroker.v1.Capability/Describe");
  for (header.call = 0; header.call < 4; ++header.call) {
    ASSERT_OK(transport::SendPacket(lane, {header, {}, {}, {}}).status);
  }
  pollfd answered = {lane.get(), POLLIN, 0};
  ASSERT_EQ(poll(&answered, 1, 5000), 1);
  absl::SleepFor(absl::Milliseconds(50));
  serving::UpstreamChannel upstream(std::move(lane));
  ASSERT_OK_AND_ASSIGN(const std::shared_ptr<Channel> channel,
                       upstream.Get(absl::Now() + absl::Seconds(5)));
  EXPECT_TRUE(Echo(*NewStub<v1::Conformance>(channel)).ok());
}

}  // namespace
}  // namespace capbroker::testing
