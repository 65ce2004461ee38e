// What ends or narrows a channel, for every kind of rpc on every path.
#include <chrono>
#include <thread>

#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/conformance/conformance_fixture.h"

namespace capbroker::testing {
namespace {

using ::capbroker::v1::Denial;
using std::chrono::milliseconds;
using std::chrono::system_clock;

INSTANTIATE_TEST_SUITE_P(Paths, ConformanceTest, EveryPath(), ParamName);

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

// What a revoked channel says of a call. gRPC ends a unary call of a wire by code and text alone.
void ExpectRevoked(const grpc::Status& status, bool with_details = true) {
  if (with_details) return ExpectDenied(status, Denial::REVOKED, "");
  EXPECT_EQ(status.error_code(), grpc::StatusCode::PERMISSION_DENIED) << status.error_message();
  EXPECT_THAT(status.error_message(), ::testing::HasSubstr("revoked"));
}

// Revokes the family's channel while a call is in flight that would go on for seconds.
class Revoker {
 public:
  explicit Revoker(LocalFamily* family)
      : begun_(system_clock::now()), thread_([family] {
          std::this_thread::sleep_for(milliseconds(80));
          family->Revoke();
        }) {}
  ~Revoker() {
    thread_.join();
    EXPECT_LT(system_clock::now() - begun_, milliseconds(3000));
  }

 private:
  const system_clock::time_point begun_;
  std::thread thread_;
};

TEST_P(ConformanceTest, RevocationEndsUnaryCallsInFlightAndLaterOnes) {
  v1::WaitRequest request;
  request.set_word("yes");
  request.set_milliseconds(5000);
  {
    v1::Conformance::StubInterface& ready = stub();
    const Revoker revoker(&family_);
    grpc::ClientContext context;
    v1::WaitResponse waited;
    ExpectRevoked(ready.Wait(&context, request, &waited), on_lane());
  }
  grpc::ClientContext later;
  v1::EchoResponse response;
  ExpectRevoked(stub().Echo(&later, EchoOf(""), &response));
}

TEST_P(ConformanceTest, RevocationReachesABusyChannel) {
  const Revoker revoker(&family_);
  grpc::Status status;
  while (status.ok()) {
    grpc::ClientContext context;
    v1::EchoResponse response;
    status = stub().Echo(&context, EchoOf("x"), &response);
  }
  EXPECT_EQ(status.error_code(), grpc::StatusCode::PERMISSION_DENIED) << status.error_message();
}

TEST_P(ConformanceTest, RevocationEndsServerStreams) {
  v1::CountRequest request;
  request.set_word("yes");
  request.set_to(50);
  request.set_milliseconds(100);
  v1::CountResponse response;
  {
    v1::Conformance::StubInterface& ready = stub();
    const Revoker revoker(&family_);
    grpc::ClientContext context;
    const auto reader = ready.Count(&context, request);
    while (reader->Read(&response)) {
    }
    ExpectRevoked(reader->Finish());
  }
  grpc::ClientContext later;
  const auto reader = stub().Count(&later, request);
  EXPECT_FALSE(reader->Read(&response));
  ExpectRevoked(reader->Finish());
}

TEST_P(ConformanceTest, RevocationEndsClientStreams) {
  v1::SumRequest request;
  request.set_word("yes");
  v1::SumResponse response;
  {
    v1::Conformance::StubInterface& ready = stub();
    const Revoker revoker(&family_);
    grpc::ClientContext context;
    const auto writer = ready.Sum(&context, &response);
    while (writer->Write(request)) std::this_thread::sleep_for(milliseconds(10));
    ExpectRevoked(writer->Finish());
  }
  grpc::ClientContext later;
  const auto writer = stub().Sum(&later, &response);
  (void)writer->Write(request);
  ExpectRevoked(writer->Finish());
}

TEST_P(ConformanceTest, RevocationEndsBidirectionalStreams) {
  v1::ChatRequest request;
  request.set_word("yes");
  v1::ChatResponse response;
  {
    v1::Conformance::StubInterface& ready = stub();
    const Revoker revoker(&family_);
    grpc::ClientContext context;
    const auto stream = ready.Chat(&context);
    ASSERT_TRUE(stream->Write(request));
    ASSERT_TRUE(stream->Read(&response));
    // The handler waits for the next request.
    EXPECT_FALSE(stream->Read(&response));
    ExpectRevoked(stream->Finish());
  }
  grpc::ClientContext later;
  const auto stream = stub().Chat(&later);
  (void)stream->Write(request);
  EXPECT_FALSE(stream->Read(&response));
  ExpectRevoked(stream->Finish());
}

}  // namespace
}  // namespace capbroker::testing
