// Every kind of refusal carries the typed denial, the same on lane and wire.
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/status_matchers.h"
#include "serving/call.h"
#include "tests/conformance/local_family.h"
#include "tests/conformance/refusals.capbroker.h"
#include "tests/conformance/refusals.dispatch.h"
#include "transport/grpc_status.h"

namespace capbroker::testing {
namespace {

using ::capbroker::v1::Denial;

enum class Path { kLane, kWire };

class RefusalsService final : public v1::Refusals::Service {
 public:
  grpc::Status AskFor(grpc::ServerContext* context, const v1::AskForRequest* request,
                      v1::AskForResponse*) override {
    return request->word() == "object" ? serving::Call::Of(context).Refuse("words")
                                       : grpc::Status::OK;
  }
};

v1::AskForRequest Word(const std::string& word) {
  v1::AskForRequest request;
  request.set_word(word);
  return request;
}

class RefusalsTest : public ::testing::TestWithParam<Path> {
 protected:
  void Open(const std::vector<std::string>& words) {
    v1::RefusalsLimits limits;
    for (const std::string& word : words) limits.add_words(word);
    family_ = std::make_unique<LocalFamily>(
        v1::CapbrokerMakeDispatch(std::make_unique<RefusalsService>()), limits);
    channel_ = std::make_shared<Channel>(family_->TakeLane());
    if (GetParam() == Path::kLane) {
      stub_ = NewStub<v1::Refusals>(channel_);
    } else {
      stub_ = v1::Refusals::NewStub(*channel_->Grpc());
    }
  }

  grpc::Status Ask(const v1::AskForRequest& request) {
    grpc::ClientContext context;
    v1::AskForResponse response;
    return stub_->AskFor(&context, request, &response);
  }

  template <typename Status>
  static void ExpectDenied(const Status& status, Denial::Reason reason, const std::string& field,
                           const std::string& method) {
    const std::optional<Denial> denial = DenialOf(status);
    ASSERT_TRUE(denial.has_value());
    EXPECT_EQ(Denial::Reason_Name(denial->reason()), Denial::Reason_Name(reason));
    EXPECT_EQ(denial->field(), field);
    EXPECT_EQ(denial->method(), method);
    EXPECT_EQ(
        static_cast<int>(reason == Denial::BUDGET_EXHAUSTED ? grpc::StatusCode::RESOURCE_EXHAUSTED
                                                            : grpc::StatusCode::PERMISSION_DENIED),
        Code(status));
  }
  static int Code(const grpc::Status& status) { return status.error_code(); }
  static int Code(const absl::Status& status) { return static_cast<int>(status.code()); }

  std::unique_ptr<LocalFamily> family_;
  std::shared_ptr<Channel> channel_;
  std::unique_ptr<v1::Refusals::StubInterface> stub_;
};

TEST_P(RefusalsTest, OfAValueNamesTheLimit) {
  Open({"ask", "a"});
  ExpectDenied(Ask(Word("b")), Denial::NOT_IN_LIMITS, "words", "AskFor");
}

TEST_P(RefusalsTest, OfAMethodNamesWhatItNeeds) {
  Open({"a"});
  ExpectDenied(Ask(Word("a")), Denial::METHOD_NOT_ALLOWED, "words", "AskFor");
}

TEST_P(RefusalsTest, OfALengthNamesTheField) {
  Open({"ask", "*"});
  ExpectDenied(Ask(Word("123456789")), Denial::TOO_LONG, "word", "AskFor");
}

TEST_P(RefusalsTest, OfAnUnknownFieldNamesTheMessage) {
  Open({"ask", "a"});
  v1::AskForRequest request = Word("a");
  request.GetReflection()->MutableUnknownFields(&request)->AddVarint(1000, 1);
  ExpectDenied(Ask(request), Denial::UNKNOWN_FIELD, "AskForRequest", "AskFor");
}

TEST_P(RefusalsTest, OfAnObjectNamesTheLimit) {
  Open({"ask", "object"});
  ExpectDenied(Ask(Word("object")), Denial::OBJECT_REFUSED, "words", "AskFor");
}

TEST_P(RefusalsTest, OfWhatIsUsedUpNamesTheBudget) {
  Open({"ask", "a"});
  ASSERT_OK(FromGrpcStatus(Ask(Word("a"))));
  ASSERT_OK(FromGrpcStatus(Ask(Word("a"))));
  ExpectDenied(Ask(Word("a")), Denial::BUDGET_EXHAUSTED, "calls_per_minute", "AskFor");
}

// The channel's own methods are on the lane alone.
TEST_P(RefusalsTest, OfTheChannelsOwnMethodsAreDenialsToo) {
  if (GetParam() == Path::kWire) return;
  Open({"ask", "a"});
  ASSERT_OK_AND_ASSIGN(const std::shared_ptr<Channel> clone, channel_->Clone());
  ExpectDenied(channel_->Clone().status(), Denial::BUDGET_EXHAUSTED, "clones", "Clone");
  family_->Revoke();
  ExpectDenied(Ask(Word("a")), Denial::REVOKED, "", "AskFor");
  ExpectDenied(channel_->Clone().status(), Denial::REVOKED, "", "Clone");
  ExpectDenied(channel_->Narrow(v1::RefusalsLimits()).status(), Denial::REVOKED, "", "Narrow");
  ExpectDenied(channel_->Describe().status(), Denial::REVOKED, "", "Describe");
  ExpectDenied(channel_->OpenWire().status(), Denial::REVOKED, "", "OpenWire");
}

TEST_P(RefusalsTest, OfARevokedChannelIsTyped) {
  Open({"ask", "a"});
  family_->Revoke();
  ExpectDenied(Ask(Word("a")), Denial::REVOKED, "", "AskFor");
}

// There is no wire: what refused it is told of every call, details included.
TEST_P(RefusalsTest, OfTheWireIsThatOfItsCalls) {
  if (GetParam() == Path::kLane) return;
  Open({"ask", "a"});
  ASSERT_OK_AND_ASSIGN(const std::shared_ptr<Channel> clone, channel_->Clone());
  family_->Revoke(2);
  const auto stub = v1::Refusals::NewStub(clone->GrpcOrFailing());
  grpc::ClientContext context;
  v1::AskForResponse response;
  ExpectDenied(stub->AskFor(&context, Word("a"), &response), Denial::REVOKED, "", "OpenWire");
}

INSTANTIATE_TEST_SUITE_P(Paths, RefusalsTest, ::testing::Values(Path::kLane, Path::kWire),
                         [](const auto& info) {
                           return info.param == Path::kLane ? "Lane" : "Wire";
                         });

}  // namespace
}  // namespace capbroker::testing
