// The three kinds of streaming rpc on every path.
#include <chrono>
#include <string>
#include <thread>
#include <utility>

#include "gtest/gtest.h"
#include "tests/conformance/conformance_fixture.h"

namespace capbroker::testing {
namespace {

using ::capbroker::v1::Denial;
using std::chrono::milliseconds;
using std::chrono::system_clock;

INSTANTIATE_TEST_SUITE_P(Paths, ConformanceTest, EveryPathOfStreams(), ParamName);

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

}  // namespace
}  // namespace capbroker::testing
