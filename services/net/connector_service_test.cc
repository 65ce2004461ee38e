// The service as workers reach it: through a lane, with the checks in front, to real servers.
#include "services/net/connector_service.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "base/status_matchers.h"
#include "capbroker/net/v1/connector.capbroker.h"
#include "capbroker/net/v1/connector.dispatch.h"
#include "services/hosts/ip_address.h"
#include "services/net/connector_client.h"
#include "services/net/connector_limits.h"
#include "services/net/testing/connector_process.h"
#include "services/net/testing/local_server.h"
#include "tests/conformance/local_family.h"
#include "transport/channel.h"
#include "transport/grpc_status.h"
#include "transport/stub.h"

namespace capbroker::net {
namespace {

using ::capbroker::testing::LocalFamily;
using ::capbroker::testing::StatusIs;
using ::capbroker::v1::Denial;
using hosts::IpAddress;
using ::testing::IsEmpty;
using Response = v1::ConnectAddressResponse;

IpAddress Address(const std::string& text) { return *IpAddress::Parse(text); }

void ExpectDenied(const absl::Status& status, Denial::Reason reason, const std::string& field) {
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kPermissionDenied));
  const Denial denial = DenialOf(status).value_or(Denial());
  EXPECT_EQ(denial.reason(), reason) << status;
  EXPECT_EQ(denial.field(), field) << status;
}

class ConnectorTest : public ::testing::Test {
 protected:
  ~ConnectorTest() override {
    stub_.reset();
    channel_.reset();
    family_.reset();
  }

  // The limits of a program that may connect to servers of the test.
  v1::ConnectorLimits Local(const std::vector<std::string>& names) {
    return LimitsForHosts(names, {server_.port_text()},
                          {.local_addresses = {"127.0.0.0/8", "::1"}});
  }

  v1::Connector::StubInterface& Serve(const v1::ConnectorLimits& limits) {
    family_ = std::make_unique<LocalFamily>(
        v1::CapbrokerMakeDispatch(std::make_unique<ConnectorService>(hosts_.Options())), limits);
    channel_ = std::make_shared<Channel>(family_->TakeLane());
    stub_ = NewStub<v1::Connector>(channel_);
    return *stub_;
  }

  const TestHosts hosts_{
      {"host-record=web.test,127.0.0.1", "host-record=v6.test,::1",
       "host-record=metadata.test,169.254.169.254", "host-record=private.test,10.1.2.3",
       "host-record=mapped.test,::ffff:127.0.0.1", "host-record=multicast.test,224.0.0.1"}};
  LocalServer server_;
  std::unique_ptr<LocalFamily> family_;
  std::shared_ptr<Channel> channel_;
  std::unique_ptr<v1::Connector::StubInterface> stub_;
};

TEST_F(ConnectorTest, ConnectsToGrantedName) {
  auto& stub = Serve(Local({"web.test"}));
  ASSERT_OK_AND_ASSIGN(const UniqueFd connection, Connect(stub, "web.test", server_.port()));
  const UniqueFd peer = server_.Accept();
  ASSERT_TRUE(Send(connection, "hello"));
  EXPECT_EQ(Receive(peer, 5), "hello");
  ASSERT_TRUE(Send(peer, "answer"));
  EXPECT_EQ(Receive(connection, 6), "answer");
  EXPECT_EQ(fcntl(connection.get(), F_GETFL) & O_NONBLOCK, 0);
  ASSERT_OK_AND_ASSIGN(const UniqueFd other,
                       Connect(stub, "web.test", server_.port(), {.nonblocking = true}));
  EXPECT_NE(fcntl(other.get(), F_GETFL) & O_NONBLOCK, 0);
}

TEST_F(ConnectorTest, DeniesOtherNameBeforeAnybodyIsAsked) {
  auto& stub = Serve(Local({"web.test"}));
  for (const char* name : {"v6.test", "secret-bytes.web.test", "127.0.0.1", ""}) {
    ExpectDenied(Connect(stub, name, server_.port()).status(), Denial::NOT_IN_LIMITS, "names");
    ExpectDenied(Lookup(stub, name).status(), Denial::NOT_IN_LIMITS, "names");
  }
  EXPECT_THAT(hosts_.Queries(), IsEmpty());
}

TEST_F(ConnectorTest, DeniesOtherPort) {
  auto& stub = Serve(Local({"web.test"}));
  const uint16_t other = server_.port() == 80 ? 81 : 80;
  ExpectDenied(Connect(stub, "web.test", other).status(), Denial::NOT_IN_LIMITS, "ports");
  ASSERT_OK(Lookup(stub, "web.test"));
  ExpectDenied(ConnectAddress(stub, Address("127.0.0.1"), other).status(), Denial::NOT_IN_LIMITS,
               "ports");
}

TEST_F(ConnectorTest, DeniesOtherFamily) {
  auto& stub = Serve(LimitsForHosts({"*"}, {"*"}, {.v6 = false, .local_addresses = {"::1"}}));
  ExpectDenied(Lookup(stub, "v6.test", {v1::ADDRESS_FAMILY_INET6}).status(), Denial::NOT_IN_LIMITS,
               "families");
  EXPECT_THAT(Lookup(stub, "v6.test"), StatusIs(absl::StatusCode::kNotFound));
  ExpectDenied(ConnectAddress(stub, Address("::1"), 80).status(), Denial::OBJECT_REFUSED,
               "families");
}

// INVARIANT(empty-grants-nothing)
TEST_F(ConnectorTest, EmptyGrantsNothing) {
  auto& stub = Serve({});
  EXPECT_THAT(Connect(stub, "web.test", server_.port()),
              StatusIs(absl::StatusCode::kPermissionDenied));
  EXPECT_THAT(Lookup(stub, "web.test"), StatusIs(absl::StatusCode::kPermissionDenied));
  EXPECT_THAT(ConnectAddress(stub, Address("127.0.0.1"), server_.port()),
              StatusIs(absl::StatusCode::kPermissionDenied));
}

TEST_F(ConnectorTest, NamesWithoutAddressesGrantNothing) {
  v1::ConnectorLimits limits = Local({"*"});
  limits.clear_address_ranges();
  ExpectDenied(Connect(Serve(limits), "web.test", server_.port()).status(), Denial::OBJECT_REFUSED,
               "address_ranges");
}

// INVARIANT(object-checked-after-look)
TEST_F(ConnectorTest, ObjectCheckedAfterLookRefusesRebindingName) {
  auto& stub = Serve(LimitsForHosts({"*"}, {"*"}));
  for (const char* name : {"web.test", "v6.test", "metadata.test", "private.test", "mapped.test",
                           "multicast.test", "internal.test", "localhost", "127.0.0.1", "::1",
                           "0.0.0.0", "169.254.169.254", "::ffff:127.0.0.1"}) {
    ExpectDenied(Connect(stub, name, server_.port()).status(), Denial::OBJECT_REFUSED,
                 "address_ranges");
    ExpectDenied(Lookup(stub, name).status(), Denial::OBJECT_REFUSED, "address_ranges");
  }
  for (const char* address : {"127.0.0.1", "::1", "::ffff:127.0.0.1", "169.254.169.254"}) {
    ExpectDenied(ConnectAddress(stub, Address(address), server_.port()).status(),
                 Denial::NOT_IN_LIMITS, "address_ranges");
  }
  EXPECT_FALSE(server_.HasConnection());
}

// INVARIANT(object-checked-after-look)
TEST_F(ConnectorTest, ConnectsOnlyToAddressesThatALookupGave) {
  auto& stub = Serve(Local({"web.test"}));
  const IpAddress address = Address("127.0.0.1");
  ExpectDenied(ConnectAddress(stub, address, server_.port()).status(), Denial::OBJECT_REFUSED,
               "names");
  ASSERT_OK_AND_ASSIGN(const FoundHost found, Lookup(stub, "web.test"));
  EXPECT_THAT(found.addresses, ::testing::ElementsAre(address));
  ASSERT_OK_AND_ASSIGN(const AddressConnection connection,
                       ConnectAddress(stub, address, server_.port()));
  EXPECT_EQ(connection.outcome, Response::CONNECTED);
  EXPECT_TRUE(Send(connection.socket, "x"));
  EXPECT_TRUE(server_.Accept().valid());
  ASSERT_OK(ConnectAddress(stub, Address("::ffff:127.0.0.1"), server_.port()));
  ExpectDenied(ConnectAddress(stub, Address("127.0.0.2"), server_.port()).status(),
               Denial::OBJECT_REFUSED, "names");
}

// INVARIANT(object-checked-after-look)
TEST_F(ConnectorTest, NarrowedCloneConnectsOnlyToItsOwnNames) {
  auto& stub = Serve(Local({"web.test", "v6.test"}));
  ASSERT_OK_AND_ASSIGN(const std::shared_ptr<Channel> clone, channel_->Clone());
  ASSERT_OK(clone->Narrow(Local({"v6.test"})));
  const auto narrow = NewStub<v1::Connector>(clone);
  ASSERT_OK(Lookup(stub, "web.test"));
  ASSERT_OK(ConnectAddress(stub, Address("127.0.0.1"), server_.port()));
  ExpectDenied(ConnectAddress(*narrow, Address("127.0.0.1"), server_.port()).status(),
               Denial::OBJECT_REFUSED, "names");
}

TEST_F(ConnectorTest, ConnectsToAddressThatTheLimitsName) {
  auto& stub = Serve(LimitsForHosts({"127.0.0.1"}, {server_.port_text()}));
  ASSERT_OK(ConnectAddress(stub, Address("127.0.0.1"), server_.port()));
  ASSERT_OK(Connect(stub, "127.0.0.1", server_.port()));
  ExpectDenied(ConnectAddress(stub, Address("127.0.0.2"), server_.port()).status(),
               Denial::NOT_IN_LIMITS, "address_ranges");
}

TEST_F(ConnectorTest, KnowsLocalhostWithoutALookup) {
  auto& stub = Serve(Local({"localhost"}));
  ASSERT_OK(ConnectAddress(stub, Address("127.0.0.1"), server_.port()));
  ExpectDenied(ConnectAddress(stub, Address("127.0.0.2"), server_.port()).status(),
               Denial::OBJECT_REFUSED, "names");
}

TEST_F(ConnectorTest, TellsWhoRefuses) {
  const uint16_t closed = LocalServer().port();
  v1::ConnectorLimits limits = Local({"127.0.0.1"});
  limits.add_ports(std::to_string(closed));
  auto& stub = Serve(limits);
  for (const bool nonblocking : {false, true}) {
    ASSERT_OK_AND_ASSIGN(
        const AddressConnection connection,
        ConnectAddress(stub, Address("127.0.0.1"), closed, {.nonblocking = nonblocking}));
    EXPECT_EQ(connection.outcome, Response::REFUSED);
    EXPECT_FALSE(connection.socket.valid());
  }
  EXPECT_THAT(Connect(stub, "127.0.0.1", closed), StatusIs(absl::StatusCode::kUnavailable));
}

TEST_F(ConnectorTest, RefusesWhatIsNoPort) {
  v1::ConnectorLimits limits = Local({"*"});
  limits.add_ports("*");
  auto& stub = Serve(limits);
  v1::ConnectRequest request;
  request.set_name("web.test");
  for (const uint32_t port : {0u, 65536u, 65536u + server_.port()}) {
    request.set_port(port);
    grpc::ClientContext context;
    v1::ConnectResponse response;
    EXPECT_EQ(stub.Connect(&context, request, &response).error_code(),
              grpc::StatusCode::INVALID_ARGUMENT)
        << port;
  }
}

TEST_F(ConnectorTest, RespectsTheDeadline) {
  server_.FallSilent();
  auto& stub = Serve(Local({"web.test"}));
  EXPECT_THAT(Connect(stub, "web.test", server_.port(), {.timeout = absl::Milliseconds(300)}),
              StatusIs(absl::StatusCode::kDeadlineExceeded));
}

// INVARIANT(leases-end-with-their-channel)
TEST_F(ConnectorTest, RevocationEndsConnectionsAlsoOnTheirWay) {
  auto& stub = Serve(Local({"127.0.0.1"}));
  ASSERT_OK_AND_ASSIGN(const UniqueFd connected, Connect(stub, "127.0.0.1", server_.port()));
  const UniqueFd peer = server_.Accept();
  server_.FallSilent();
  ASSERT_OK_AND_ASSIGN(
      const AddressConnection started,
      ConnectAddress(stub, Address("127.0.0.1"), server_.port(), {.nonblocking = true}));
  EXPECT_EQ(started.outcome, Response::IN_PROGRESS);
  pollfd polled = {.fd = started.socket.get(), .events = POLLOUT, .revents = 0};
  EXPECT_EQ(poll(&polled, 1, 0), 0);
  family_->Revoke();
  EXPECT_EQ(Receive(connected, 1), "");
  EXPECT_EQ(Receive(peer, 1), "");
  EXPECT_EQ(poll(&polled, 1, 20'000), 1);
  EXPECT_NE(polled.revents & POLLHUP, 0);
  ExpectDenied(Lookup(stub, "127.0.0.1").status(), Denial::REVOKED, "");
}

}  // namespace
}  // namespace capbroker::net
