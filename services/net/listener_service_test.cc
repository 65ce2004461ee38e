// The service as workers reach it: through a lane, with the checks in front.
#include "services/net/listener_service.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/status_matchers.h"
#include "capbroker/net/v1/listener.capbroker.h"
#include "capbroker/net/v1/listener.dispatch.h"
#include "services/hosts/ip_address.h"
#include "services/net/listener_limits.h"
#include "services/net/listening.h"
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
using Response = v1::ListenResponse;

IpAddress Address(const std::string& text) { return *IpAddress::Parse(text); }

void ExpectDenied(const absl::Status& status, Denial::Reason reason, const std::string& field) {
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kPermissionDenied));
  const Denial denial = DenialOf(status).value_or(Denial());
  EXPECT_EQ(denial.reason(), reason) << status;
  EXPECT_EQ(denial.field(), field) << status;
}

// 0, or an errno. Waits for the handshake alone.
int ConnectTo(const std::string& address, uint16_t port) {
  return ConnectedTo(address, port).valid() ? 0 : errno;
}

// Of this machine, at which nobody listens.
uint16_t FreePort() { return LocalServer().port(); }

class ListenerTest : public ::testing::Test {
 protected:
  ~ListenerTest() override {
    stub_.reset();
    channel_.reset();
    family_.reset();
  }

  v1::Listener::StubInterface& Serve(const std::vector<std::string>& addresses,
                                     const std::vector<std::string>& ports) {
    family_ = std::make_unique<LocalFamily>(
        v1::CapbrokerMakeDispatch(std::make_unique<ListenerService>()),
        LimitsForServers(addresses, ports));
    channel_ = std::make_shared<Channel>(family_->TakeLane());
    stub_ = NewStub<v1::Listener>(channel_);
    return *stub_;
  }

  std::unique_ptr<LocalFamily> family_;
  std::shared_ptr<Channel> channel_;
  std::unique_ptr<v1::Listener::StubInterface> stub_;
};

TEST_F(ListenerTest, ListensAtGrantedAddress) {
  const uint16_t port = FreePort();
  auto& stub = Serve({"127.0.0.1"}, {std::to_string(port)});
  ASSERT_OK_AND_ASSIGN(const Listening server, Listen(stub, Address("127.0.0.1"), port));
  ASSERT_EQ(server.outcome, Response::LISTENING);
  EXPECT_EQ(server.port, port);
  EXPECT_EQ(fcntl(server.socket.get(), F_GETFL) & O_NONBLOCK, 0);
  EXPECT_EQ(ConnectTo("127.0.0.1", port), 0);
  EXPECT_EQ(ConnectTo("127.0.0.2", port), ECONNREFUSED);
  EXPECT_TRUE(UniqueFd(accept4(server.socket.get(), nullptr, nullptr, SOCK_CLOEXEC)).valid());
}

TEST_F(ListenerTest, GivesWhatIsAskedForOfTheSocket) {
  auto& stub = Serve({"::1"}, {"0"});
  ASSERT_OK_AND_ASSIGN(const Listening server,
                       Listen(stub, Address("::1"), 0, {.nonblocking = true, .v6_only = true}));
  EXPECT_NE(server.port, 0);
  EXPECT_NE(fcntl(server.socket.get(), F_GETFL) & O_NONBLOCK, 0);
  const auto option = [&](int level, int name) {
    int value = -1;
    socklen_t size = sizeof value;
    return getsockopt(server.socket.get(), level, name, &value, &size) == 0 ? value : -1;
  };
  EXPECT_EQ(option(IPPROTO_IPV6, IPV6_V6ONLY), 1);
  EXPECT_EQ(option(SOL_SOCKET, SO_REUSEPORT), 0);
  EXPECT_EQ(option(SOL_SOCKET, SO_KEEPALIVE), 0) << "what it accepts would inherit it";
  EXPECT_EQ(ConnectTo("::1", server.port), 0);
}

TEST_F(ListenerTest, DeniesOtherAddressAndOtherPort) {
  const uint16_t port = FreePort();
  auto& stub = Serve({"127.0.0.1"}, {std::to_string(port)});
  for (const char* address : {"127.0.0.2", "0.0.0.0", "::1", "::", "::ffff:127.0.0.2"}) {
    ExpectDenied(Listen(stub, Address(address), port).status(), Denial::NOT_IN_LIMITS,
                 "address_ranges");
  }
  for (const uint16_t other : {uint16_t{0}, static_cast<uint16_t>(port + 1)}) {
    ExpectDenied(Listen(stub, Address("127.0.0.1"), other).status(), Denial::NOT_IN_LIMITS,
                 "ports");
  }
}

// INVARIANT(empty-grants-nothing)
TEST_F(ListenerTest, EmptyGrantsNothing) {
  auto& nothing = Serve({}, {"0"});
  ExpectDenied(Listen(nothing, Address("127.0.0.1"), 0).status(), Denial::NOT_IN_LIMITS,
               "address_ranges");
  auto& no_port = Serve({"127.0.0.1"}, {});
  ExpectDenied(Listen(no_port, Address("127.0.0.1"), 0).status(), Denial::NOT_IN_LIMITS, "ports");
}

TEST_F(ListenerTest, CannotBeWidenedByNarrowing) {
  auto& stub = Serve({"127.0.0.1", "127.0.0.2"}, {"0"});
  ASSERT_OK(channel_->Narrow(LimitsForServers({"127.0.0.2", "127.0.0.3", "*"}, {"*"})));
  ASSERT_OK(Listen(stub, Address("127.0.0.2"), 0));
  ExpectDenied(Listen(stub, Address("127.0.0.2"), 8080).status(), Denial::NOT_IN_LIMITS, "ports");
  ExpectDenied(Listen(stub, Address("127.0.0.3"), 0).status(), Denial::NOT_IN_LIMITS,
               "address_ranges");
}

// INVARIANT(object-checked-after-look): all addresses are in no range but that of all.
TEST_F(ListenerTest, ListensAtAllAddressesOnlyIfTheyAreNamed) {
  auto& half = Serve({"0.0.0.0/1", "::/1"}, {"0"});
  ASSERT_OK(Listen(half, Address("127.0.0.1"), 0));
  for (const char* all : {"0.0.0.0", "::", "::ffff:0.0.0.0"}) {
    ExpectDenied(Listen(half, Address(all), 0).status(), Denial::OBJECT_REFUSED, "address_ranges");
  }
  for (const char* named : {"0.0.0.0", "0.0.0.0/0"}) {
    auto& v4 = Serve({named, "::/1"}, {"0"});
    ASSERT_OK_AND_ASSIGN(const Listening server, Listen(v4, Address("0.0.0.0"), 0));
    EXPECT_EQ(ConnectTo("127.0.0.3", server.port), 0);
    ExpectDenied(Listen(v4, Address("::"), 0, {.v6_only = true}).status(), Denial::OBJECT_REFUSED,
                 "address_ranges");
  }
  // At "::" IPv4 addresses are listened at, too, unless it says that they are not.
  auto& v6 = Serve({"::"}, {"0"});
  ExpectDenied(Listen(v6, Address("::"), 0).status(), Denial::OBJECT_REFUSED, "address_ranges");
  ASSERT_OK_AND_ASSIGN(const Listening alone, Listen(v6, Address("::"), 0, {.v6_only = true}));
  EXPECT_EQ(ConnectTo("::1", alone.port), 0);
  EXPECT_EQ(ConnectTo("127.0.0.1", alone.port), ECONNREFUSED);
  auto& both = Serve({"*"}, {"0"});
  ASSERT_OK_AND_ASSIGN(const Listening server, Listen(both, Address("::"), 0));
  EXPECT_EQ(ConnectTo("::1", server.port), 0);
  EXPECT_EQ(ConnectTo("127.0.0.1", server.port), 0);
}

TEST_F(ListenerTest, TellsWhyThereIsNoServer) {
  const LocalServer taken;
  auto& stub = Serve({"*"}, {"*"});
  const auto outcome = [&](const char* address, uint16_t port) {
    const absl::StatusOr<Listening> server = Listen(stub, Address(address), port);
    EXPECT_TRUE(server.ok()) << server.status();
    EXPECT_FALSE(server.ok() && server->socket.valid());
    return server.ok() ? server->outcome : Response::OUTCOME_UNSPECIFIED;
  };
  EXPECT_EQ(outcome("127.0.0.1", taken.port()), Response::ADDRESS_IN_USE);
  EXPECT_EQ(outcome("192.0.2.1", 0), Response::ADDRESS_NOT_AVAILABLE);
  EXPECT_EQ(outcome("2001:db8::1", 0), Response::ADDRESS_NOT_AVAILABLE);
}

TEST_F(ListenerTest, RefusesWhatIsNoAddressAndNoPort) {
  auto& stub = Serve({"*", "fe80::/10"}, {"*"});
  const auto code = [&](const std::string& address, uint32_t port) {
    v1::ListenRequest request;
    request.set_address(address);
    request.set_port(port);
    grpc::ClientContext context;
    v1::ListenResponse response;
    return stub.Listen(&context, request, &response).error_code();
  };
  const std::string home("\x7f\0\0\1", 4);
  EXPECT_EQ(code(home, 65536), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(code(std::string(Address("fe80::1").packed()), 0), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(code(home.substr(1), 0), grpc::StatusCode::PERMISSION_DENIED);
  EXPECT_EQ(code("", 0), grpc::StatusCode::PERMISSION_DENIED);
}

// INVARIANT(leases-end-with-their-channel)
TEST_F(ListenerTest, RevocationEndsTheServerAndNotWhatItHasAccepted) {
  auto& stub = Serve({"127.0.0.1"}, {"0"});
  ASSERT_OK_AND_ASSIGN(const Listening server, Listen(stub, Address("127.0.0.1"), 0));
  const UniqueFd first = ConnectedTo("127.0.0.1", server.port);
  const UniqueFd accepted(accept4(server.socket.get(), nullptr, nullptr, SOCK_CLOEXEC));
  const UniqueFd waits = ConnectedTo("127.0.0.1", server.port);

  family_->Revoke();
  EXPECT_EQ(ConnectTo("127.0.0.1", server.port), ECONNREFUSED);
  EXPECT_EQ(accept4(server.socket.get(), nullptr, nullptr, SOCK_CLOEXEC), -1);
  EXPECT_EQ(errno, EINVAL);
  EXPECT_EQ(Receive(waits, 1), "(error)");  // reset
  ASSERT_TRUE(Send(accepted, "still"));
  EXPECT_EQ(Receive(first, 5), "still");
  ExpectDenied(Listen(stub, Address("127.0.0.1"), 0).status(), Denial::REVOKED, "");
}

TEST_F(ListenerTest, GivesPortsBackThatWereShutDown) {
  const uint16_t port = FreePort();
  auto& stub = Serve({"127.0.0.1"}, {std::to_string(port)});
  for (int i = 0; i < 40; ++i) {  // more than the budget has
    ASSERT_OK_AND_ASSIGN(const Listening server, Listen(stub, Address("127.0.0.1"), port));
    ASSERT_EQ(server.outcome, Response::LISTENING) << i;
    const UniqueFd client = ConnectedTo("127.0.0.1", port);
    UniqueFd accepted(accept4(server.socket.get(), nullptr, nullptr, SOCK_CLOEXEC));
    ASSERT_TRUE(client.valid() && accepted.valid());
    accepted.Reset();  // the first to close: it is the server's port that waits (TIME_WAIT)
    EXPECT_EQ(Receive(client, 1), "");
    shutdown(server.socket.get(), SHUT_RDWR);
  }
}

TEST_F(ListenerTest, AFloodOfServersRunsOutOfItsLeases) {
  auto& stub = Serve({"127.0.0.1"}, {"0"});
  std::vector<Listening> servers;
  for (int i = 0; i < 16; ++i) {
    ASSERT_OK_AND_ASSIGN(Listening server, Listen(stub, Address("127.0.0.1"), 0));
    servers.push_back(std::move(server));
  }
  const absl::Status status = Listen(stub, Address("127.0.0.1"), 0).status();
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kResourceExhausted));
  EXPECT_EQ(DenialOf(status).value_or(Denial()).field(), "leases");
}

}  // namespace
}  // namespace capbroker::net
