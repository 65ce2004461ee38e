#include "services/dns/resolver_client.h"

#include <memory>
#include <string>
#include <utility>

#include "base/status_matchers.h"

namespace capbroker::dns {
namespace {

using ::capbroker::testing::StatusIs;
using ::testing::ElementsAre;

// Answers as the test says, and keeps the request.
class FakeStub final : public v1::Resolver::StubInterface {
 public:
  grpc::Status Resolve(grpc::ClientContext* context, const v1::ResolveRequest& request,
                       v1::ResolveResponse* response) override {
    asked = request;
    deadline = absl::FromChrono(context->deadline());
    *response = answer;
    return status;
  }
  grpc::Status ReverseResolve(grpc::ClientContext*, const v1::ReverseResolveRequest& request,
                              v1::ReverseResolveResponse* response) override {
    reverse_asked = request;
    response->add_names("a.test");
    return status;
  }

  v1::ResolveResponse answer;
  grpc::Status status;
  v1::ResolveRequest asked;
  v1::ReverseResolveRequest reverse_asked;
  absl::Time deadline;

 private:
  grpc::ClientAsyncResponseReaderInterface<v1::ResolveResponse>* AsyncResolveRaw(
      grpc::ClientContext*, const v1::ResolveRequest&, grpc::CompletionQueue*) override {
    return nullptr;
  }
  grpc::ClientAsyncResponseReaderInterface<v1::ResolveResponse>* PrepareAsyncResolveRaw(
      grpc::ClientContext*, const v1::ResolveRequest&, grpc::CompletionQueue*) override {
    return nullptr;
  }
  grpc::ClientAsyncResponseReaderInterface<v1::ReverseResolveResponse>* AsyncReverseResolveRaw(
      grpc::ClientContext*, const v1::ReverseResolveRequest&, grpc::CompletionQueue*) override {
    return nullptr;
  }
  grpc::ClientAsyncResponseReaderInterface<v1::ReverseResolveResponse>*
  PrepareAsyncReverseResolveRaw(grpc::ClientContext*, const v1::ReverseResolveRequest&,
                                grpc::CompletionQueue*) override {
    return nullptr;
  }
};

TEST(ResolverClientTest, AsksAndReadsTheAnswer) {
  FakeStub stub;
  v1::Endpoint* endpoint = stub.answer.add_endpoints();
  endpoint->set_address(std::string(IpAddress::Parse("2001:db8::1")->packed()));
  endpoint->set_port(443);
  endpoint = stub.answer.add_endpoints();
  endpoint->set_address(std::string(IpAddress::Parse("192.0.2.1")->packed()));
  stub.answer.set_canonical_name("c.test");
  stub.answer.set_ttl_seconds(60);
  ASSERT_OK_AND_ASSIGN(const Resolution found, dns::Resolve(stub, "a.test",
                                                            {.families = {v1::ADDRESS_FAMILY_INET6},
                                                             .service = "https",
                                                             .canonical_name = true,
                                                             .timeout = absl::Seconds(10)}));
  EXPECT_EQ(stub.asked.name(), "a.test");
  EXPECT_THAT(stub.asked.families(), ElementsAre(v1::ADDRESS_FAMILY_INET6));
  EXPECT_EQ(stub.asked.service(), "https");
  EXPECT_TRUE(stub.asked.canonical_name());
  EXPECT_LT(stub.deadline, absl::Now() + absl::Seconds(11));
  ASSERT_EQ(found.endpoints.size(), 2u);
  EXPECT_EQ(found.endpoints[0].ToText(), "[2001:db8::1]:443");
  EXPECT_EQ(found.endpoints[1].ToText(), "192.0.2.1");
  EXPECT_EQ(found.endpoints[0].socket_address().get()->sa_family, AF_INET6);
  EXPECT_EQ(found.canonical_name, "c.test");
  EXPECT_EQ(found.time_to_live, absl::Minutes(1));
}

TEST(ResolverClientTest, PassesOnTheStatus) {
  FakeStub stub;
  stub.status = grpc::Status(grpc::StatusCode::NOT_FOUND, "no such name");
  EXPECT_THAT(dns::Resolve(stub, "a.test"), StatusIs(absl::StatusCode::kNotFound, "no such name"));
}

TEST(ResolverClientTest, RefusesMalformedAnswers) {
  FakeStub stub;
  EXPECT_THAT(dns::Resolve(stub, "a.test"), StatusIs(absl::StatusCode::kInternal));
  stub.answer.add_endpoints()->set_address("xyz");
  EXPECT_THAT(dns::Resolve(stub, "a.test"), StatusIs(absl::StatusCode::kInternal));
  stub.answer.mutable_endpoints(0)->set_address("wxyz");
  stub.answer.mutable_endpoints(0)->set_port(65536);
  EXPECT_THAT(dns::Resolve(stub, "a.test"), StatusIs(absl::StatusCode::kInternal));
}

TEST(ResolverClientTest, FindsTheNamesOfAddress) {
  FakeStub stub;
  ASSERT_OK_AND_ASSIGN(const std::vector<std::string> names,
                       dns::ReverseResolve(stub, *IpAddress::Parse("192.0.2.1")));
  EXPECT_THAT(names, ElementsAre("a.test"));
  EXPECT_EQ(stub.reverse_asked.address(), std::string("\xc0\x00\x02\x01", 4));
}

}  // namespace
}  // namespace capbroker::dns
