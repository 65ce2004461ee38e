#include "tests/conformance/conformance_fixture.h"

#include <grpc/grpc.h>
#include <grpcpp/create_channel_posix.h>

#include <optional>
#include <thread>
#include <utility>

#include "base/status_matchers.h"
#include "tests/conformance/conformance.dispatch.h"
#include "tests/conformance/conformance.proxy.h"
#include "tests/conformance/looped_stub.h"
#include "transport/grpc_status.h"

namespace capbroker::testing {

using ::capbroker::v1::Denial;

std::string ParamName(const ::testing::TestParamInfo<Param>& info) {
  const std::string by = std::get<Served>(info.param) == Served::kByProxy ? "ByProxy" : "";
  switch (std::get<Path>(info.param)) {
    case Path::kLane:
      return "Lane" + by;
    case Path::kMailbox:
      return "Mailbox" + by;
    case Path::kLoop:
      return "Loop" + by;
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

ConformanceTest::ConformanceTest()
    : family_(Service(), Words({"yes", "also"})),
      channel_(std::make_shared<Channel>(family_.TakeLane())) {
  switch (path()) {
    case Path::kLane:
    case Path::kMailbox:
      stub_ = NewStub<v1::Conformance>(channel_);
      break;
    case Path::kLoop:
      stub_ = std::make_unique<LoopedStub>(channel_);
      break;
    case Path::kStubsWire:
      stub_ = v1::Conformance::NewStub(channel_->GrpcOrFailing());
      break;
    case Path::kStockClient: {
      absl::StatusOr<UniqueFd> wire = channel_->OpenWire();
      EXPECT_OK(wire);
      grpc::ChannelArguments arguments;
      arguments.SetMaxReceiveMessageSize(-1);
      stub_ = v1::Conformance::NewStub(
          grpc::CreateCustomInsecureChannelFromFd("stock", std::move(*wire).Release(), arguments));
      break;
    }
  }
}

// The next call finds an open mailbox, unless this thread loses its CPU in between. Calls that are
// denied are no handler's.
v1::Conformance::StubInterface& ConformanceTest::stub() {
  // Of several threads that call at once none posts.
  if (path() != Path::kMailbox || std::this_thread::get_id() != owner_) return *stub_;
  v1::FailRequest denied;
  denied.set_word("no");
  const uint64_t posted = channel_->lane().posted_calls();
  for (int call = 0; call < 2000 && channel_->lane().posted_calls() == posted; ++call) {
    grpc::ClientContext context;
    v1::FailResponse response;
    (void)stub_->Fail(&context, denied, &response);
  }
  return *stub_;
}

void ConformanceTest::SetUpTestSuite() { grpc_init(); }

std::unique_ptr<serving::Dispatch> ConformanceTest::Service() {
  std::unique_ptr<serving::Dispatch> service =
      v1::CapbrokerMakeDispatch(std::make_unique<ConformanceService>());
  if (std::get<Served>(GetParam()) == Served::kDirectly) return service;
  // Wider than the proxy's: what is refused is refused by the proxy.
  upstream_ = std::make_unique<LocalFamily>(std::move(service), Words({"*"}));
  serving::ServiceInputs inputs;
  inputs.upstream = std::make_shared<serving::UpstreamChannel>(upstream_->TakeLane());
  return serving::MakeProxy<v1::Conformance>(inputs, std::make_unique<Interposer>());
}

v1::EchoRequest EchoOf(std::string payload, std::string word) {
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
}  // namespace capbroker::testing
