// The service as workers reach it: through channels, with the checks in front.
#include <grpcpp/client_context.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/status_matchers.h"
#include "capbroker/dns/v1/resolver.capbroker.h"
#include "capbroker/dns/v1/resolver.dispatch.h"
#include "services/dns/resolver_client.h"
#include "services/dns/resolver_limits.h"
#include "services/dns/resolver_service.h"
#include "services/hosts/testing/dns_server.h"
#include "services/hosts/testing/scripted_dns_server.h"
#include "tests/conformance/local_family.h"
#include "transport/channel.h"
#include "transport/grpc_status.h"
#include "transport/stub.h"

namespace capbroker::dns {
namespace {

using hosts::DnsServer;
using hosts::ScriptedDnsServer;

using ::capbroker::testing::LocalFamily;
using ::capbroker::testing::StatusIs;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class ResolverPathsTest : public ::testing::TestWithParam<bool> {
 protected:
  ResolverPathsTest() {
    std::filesystem::create_directories(folder_);
    std::ofstream(folder_ + "/hosts") << "10.0.0.1 internal.test\n";
    auto server =
        DnsServer::Start({"host-record=a.test,192.0.2.1,60", "host-record=rebind.test,10.1.2.3",
                          "ptr-record=1.2.0.192.in-addr.arpa,a.test",
                          absl::StrCat("server=/slow.test/127.0.0.1#", silent_.port())});
    EXPECT_OK(server);
    server_ = *std::move(server);
    std::ofstream(folder_ + "/resolv.conf") << server_->ResolvConf();
  }
  ~ResolverPathsTest() override {
    stub_.reset();
    family_.reset();
    std::filesystem::remove_all(folder_);
  }

  v1::Resolver::StubInterface& Serve(const v1::ResolverLimits& limits) {
    ResolverOptions options;
    options.hosts.hosts_path = folder_ + "/hosts";
    options.hosts.nsswitch_path = folder_ + "/nsswitch.conf";
    options.hosts.resolv_conf_path = folder_ + "/resolv.conf";
    auto service = std::make_unique<ResolverService>(options);
    family_ = std::make_unique<LocalFamily>(v1::CapbrokerMakeDispatch(std::move(service)), limits);
    channel_ = std::make_shared<Channel>(family_->TakeLane());
    const bool wire = GetParam();
    stub_ =
        wire ? v1::Resolver::NewStub(channel_->GrpcOrFailing()) : NewStub<v1::Resolver>(channel_);
    return *stub_;
  }

  const std::string folder_ = absl::StrCat(::testing::TempDir(), "/resolver_paths_test.", getpid());
  ScriptedDnsServer silent_{[](const ScriptedDnsServer::Query&) { return std::nullopt; }};
  std::unique_ptr<DnsServer> server_;
  std::unique_ptr<LocalFamily> family_;
  std::shared_ptr<Channel> channel_;
  std::unique_ptr<v1::Resolver::StubInterface> stub_;
};

INSTANTIATE_TEST_SUITE_P(Paths, ResolverPathsTest, ::testing::Bool(),
                         [](const auto& wire) { return wire.param ? "Wire" : "Lane"; });

TEST_P(ResolverPathsTest, ResolvesGrantedName) {
  auto& stub = Serve(LimitsForNames({"*.test"}));
  ASSERT_OK_AND_ASSIGN(const Resolution found, dns::Resolve(stub, "a.test", {.service = "443"}));
  ASSERT_THAT(found.endpoints, SizeIs(1));
  EXPECT_EQ(found.endpoints[0].ToText(), "192.0.2.1:443");
  EXPECT_EQ(found.time_to_live, absl::Minutes(1));
  EXPECT_THAT(dns::Resolve(stub, "missing.test"), StatusIs(absl::StatusCode::kNotFound));
}

TEST_P(ResolverPathsTest, DeniesOtherNameBeforeAnybodyIsAsked) {
  auto& stub = Serve(LimitsForNames({"a.test"}));
  const auto denied = dns::Resolve(stub, "secret-bytes.evil.test");
  EXPECT_THAT(denied, StatusIs(absl::StatusCode::kPermissionDenied));
  ASSERT_TRUE(DenialOf(denied.status()).has_value());
  EXPECT_EQ(DenialOf(denied.status())->reason(), ::capbroker::v1::Denial::NOT_IN_LIMITS);
  EXPECT_EQ(DenialOf(denied.status())->field(), "names");
  EXPECT_THAT(server_->Queries(), IsEmpty());
}

TEST_P(ResolverPathsTest, ObjectCheckedAfterLookRefusesRebindingName) {
  auto& stub = Serve(LimitsForNames({"*"}, {.addresses = AddressReach::kPublic}));
  for (const char* name : {"rebind.test", "internal.test", "localhost", "127.0.0.1"}) {
    const auto refused = dns::Resolve(stub, name);
    EXPECT_THAT(refused, StatusIs(absl::StatusCode::kPermissionDenied)) << name;
    ASSERT_TRUE(DenialOf(refused.status()).has_value()) << name;
    EXPECT_EQ(DenialOf(refused.status())->reason(), ::capbroker::v1::Denial::OBJECT_REFUSED);
    EXPECT_EQ(DenialOf(refused.status())->field(), "address_ranges");
  }
}

TEST_P(ResolverPathsTest, FindsNamesOnlyWhereReverseIsGranted) {
  const IpAddress address = *IpAddress::Parse("192.0.2.1");
  EXPECT_THAT(dns::ReverseResolve(Serve(LimitsForNames({"*"})), address),
              StatusIs(absl::StatusCode::kPermissionDenied));
  auto& stub = Serve(LimitsForAddresses({"192.0.2.0/24"}));
  ASSERT_OK_AND_ASSIGN(const std::vector<std::string> names, dns::ReverseResolve(stub, address));
  EXPECT_THAT(names, ::testing::ElementsAre("a.test"));
  EXPECT_THAT(dns::ReverseResolve(stub, *IpAddress::Parse("198.51.100.1")),
              StatusIs(absl::StatusCode::kPermissionDenied));
}

TEST_P(ResolverPathsTest, CallEndsAtItsDeadline) {
  auto& stub = Serve(LimitsForNames({"*"}));
  const absl::Time start = absl::Now();
  EXPECT_THAT(dns::Resolve(stub, "a.slow.test", {.timeout = absl::Milliseconds(200)}),
              StatusIs(absl::StatusCode::kDeadlineExceeded));
  EXPECT_LT(absl::Now() - start, absl::Seconds(3));
  EXPECT_OK(dns::Resolve(stub, "a.test"));
}

TEST_P(ResolverPathsTest, CallEndsWhenItIsCancelled) {
  auto& stub = Serve(LimitsForNames({"*"}));
  grpc::ClientContext context;
  std::thread canceller([&context] {
    absl::SleepFor(absl::Milliseconds(200));
    context.TryCancel();
  });
  v1::ResolveRequest request;
  request.set_name("a.slow.test");
  v1::ResolveResponse response;
  const absl::Time start = absl::Now();
  const grpc::Status status = stub.Resolve(&context, request, &response);
  canceller.join();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::CANCELLED);
  EXPECT_LT(absl::Now() - start, absl::Seconds(3));
}

TEST_P(ResolverPathsTest, SlowNamesDelayNoOther) {
  auto& stub = Serve(LimitsForNames({"*"}));
  std::vector<std::thread> slow;
  for (int i = 0; i < 20; ++i) {
    slow.emplace_back([&stub] {
      EXPECT_THAT(dns::Resolve(stub, "a.slow.test", {.timeout = absl::Seconds(2)}),
                  StatusIs(absl::StatusCode::kDeadlineExceeded));
    });
  }
  absl::SleepFor(absl::Milliseconds(100));
  const absl::Time start = absl::Now();
  EXPECT_OK(dns::Resolve(stub, "a.test"));
  EXPECT_LT(absl::Now() - start, absl::Seconds(1));
  for (std::thread& thread : slow) thread.join();
}

TEST_P(ResolverPathsTest, CallEndsWhenTheChannelIsRevoked) {
  auto& stub = Serve(LimitsForNames({"*"}));
  std::thread slow([&stub] {
    EXPECT_FALSE(dns::Resolve(stub, "a.slow.test", {.timeout = absl::Seconds(20)}).ok());
  });
  absl::SleepFor(absl::Milliseconds(200));
  const absl::Time start = absl::Now();
  family_->Revoke();
  slow.join();
  EXPECT_LT(absl::Now() - start, absl::Seconds(5));
}

}  // namespace
}  // namespace capbroker::dns
