// An unmodified program that a broker launched connects and serves by grant, until the grant is
// revoked; so does a forked worker, by its channel.
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status_matchers.h"
#include "base/unique_fd.h"
#include "capbroker/net/v1/listener.capbroker.h"
#include "client/broker.h"
#include "client/grants.h"
#include "client/worker.h"
#include "gtest/gtest.h"
#include "services/hosts/ip_address.h"
#include "services/net/grants.h"
#include "services/net/listening.h"
#include "services/net/testing/local_server.h"

namespace capbroker {
namespace {

using net::LocalServer;
using net::Receive;
using net::Send;
using testing::StatusIs;

uint16_t g_port = 0;  // set before the broker is forked

class LaunchedProgramTest : public ::testing::Test {
 protected:
  void SetUp() override {
    signal(SIGPIPE, SIG_IGN);
    g_port = LocalServer().port();
    absl::StatusOr<Broker> started = Broker::Start();
    ASSERT_OK(started);
    broker_ = std::make_unique<Broker>(*std::move(started));
  }

  Grant Local(const std::string& name, const std::string& host) {
    return {name, ConnectToHosts({host}, {server_.port_text()},
                                 {.v6 = false, .local_addresses = {"127.0.0.1"}})};
  }

  absl::StatusOr<Worker> LaunchCurl(std::vector<Grant> connections,
                                    const std::string& host = "localhost") {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) return absl::InternalError("pipe");
    output_.Reset(ends[0]);
    WorkerOptions options;
    options.program = "/usr/bin/curl";
    options.arguments = {"-sS", absl::StrCat("http://", host, ":", server_.port(), "/")};
    options.standard_output.Reset(ends[1]);
    options.supervision.emplace().connections = std::move(connections);
    return broker_->Launch(std::move(options));
  }

  std::string Output() {
    std::string text;
    char byte;
    while (read(output_.get(), &byte, 1) == 1) text.push_back(byte);
    return text;
  }

  LocalServer server_;
  UniqueFd output_;
  std::unique_ptr<Broker> broker_;
};

TEST_F(LaunchedProgramTest, ConnectsByItsGrant) {
  absl::StatusOr<Worker> curl =
      LaunchCurl({Local("other", "other.test"), Local("web", "localhost")});
  ASSERT_OK(curl);
  const UniqueFd peer = server_.Accept();
  EXPECT_EQ(Receive(peer, 5), "GET /");
  EXPECT_TRUE(Send(peer, "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello\n"));
  EXPECT_EQ(Output(), "hello\n");
  EXPECT_EQ(curl->Wait().exit_code(), 0);
}

TEST_F(LaunchedProgramTest, FindsNobodyWithoutOne) {
  absl::StatusOr<Worker> curl = LaunchCurl({Local("other", "other.test")});
  ASSERT_OK(curl);
  EXPECT_EQ(curl->Wait().exit_code(), 7);  // cannot connect
  curl = LaunchCurl({Local("web", "localhost")}, "web.test");
  ASSERT_OK(curl);
  EXPECT_EQ(curl->Wait().exit_code(), 6);  // cannot resolve
  curl = LaunchCurl({});
  ASSERT_OK(curl);
  EXPECT_EQ(curl->Wait().exit_code(), 7);
  EXPECT_FALSE(server_.HasConnection());
}

// INVARIANT(leases-end-with-their-channel)
TEST_F(LaunchedProgramTest, RevocationEndsItsConnection) {
  absl::StatusOr<Worker> curl = LaunchCurl({Local("web", "localhost")});
  ASSERT_OK(curl);
  const UniqueFd peer = server_.Accept();
  EXPECT_EQ(Receive(peer, 5), "GET /");
  EXPECT_TRUE(Send(peer, "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhel"));
  EXPECT_OK(broker_->RevokeGrant(*curl, "web"));
  EXPECT_EQ(curl->Wait().exit_code(), 18);  // a partial file
}

// Once it can be connected to; invalid if that never comes.
UniqueFd ConnectedSoon(uint16_t port) {
  UniqueFd connection;
  for (int i = 0; i < 1000 && !connection.valid(); ++i) {
    connection = net::ConnectedTo("127.0.0.1", port);
    if (!connection.valid()) usleep(20'000);
  }
  return connection;
}

WorkerOptions PythonServer(uint16_t port, std::vector<Grant> servers) {
  WorkerOptions options;
  options.program = "/usr/bin/python3";
  options.arguments = {"-I", "-m", "http.server", "--bind", "127.0.0.1", std::to_string(port)};
  options.supervision = Supervision{.refusal = Refusal::kAbsent, .servers = std::move(servers)};
  return options;
}

// INVARIANT(leases-end-with-their-channel)
TEST_F(LaunchedProgramTest, ServesByItsGrantUntilThatIsRevoked) {
  const uint16_t port = LocalServer().port();
  absl::StatusOr<Worker> python = broker_->Launch(
      PythonServer(port, {{"server", ListenAt({"127.0.0.1"}, {std::to_string(port)})}}));
  ASSERT_OK(python);
  const UniqueFd client = ConnectedSoon(port);
  ASSERT_TRUE(client.valid());
  EXPECT_TRUE(Send(client, "GET /none HTTP/1.0\r\n\r\n"));
  EXPECT_EQ(Receive(client, 12), "HTTP/1.0 404");
  ASSERT_OK_AND_ASSIGN(const Revocation revocation, broker_->RevokeGrant(*python, "server"));
  EXPECT_EQ(revocation.shut_down, 1u);
  EXPECT_FALSE(net::ConnectedTo("127.0.0.1", port).valid());
  EXPECT_EQ(errno, ECONNREFUSED);
}

TEST_F(LaunchedProgramTest, ServesNobodyWithoutAGrant) {
  const uint16_t port = LocalServer().port();
  for (const char* address : {"127.0.0.2", "::1"}) {
    absl::StatusOr<Worker> python = broker_->Launch(
        PythonServer(port, {{"server", ListenAt({address}, {std::to_string(port)})}}));
    ASSERT_OK(python);
    EXPECT_EQ(python->Wait().exit_code(), 1);
  }
}

int Greet(Grants grants) {
  const auto stub = grants.Stub<net::v1::Listener>("server");
  const absl::StatusOr<net::Listening> server =
      net::Listen(*stub, *hosts::IpAddress::Parse("127.0.0.1"), g_port);
  if (!server.ok() || !server->socket.valid()) return 2;
  const UniqueFd connection(accept4(server->socket.get(), nullptr, nullptr, SOCK_CLOEXEC));
  if (!connection.valid()) return errno == EACCES ? 3 : 4;
  shutdown(server->socket.get(), SHUT_RDWR);
  // INVARIANT(leases-end-with-their-channel): not even what it has ended itself.
  if (listen(server->socket.get(), 1) == 0 || errno != EACCES) return 5;
  return Send(connection, "hello") ? 0 : 6;
}

TEST_F(LaunchedProgramTest, AForkedWorkerServesByItsChannel) {
  const std::string port = std::to_string(g_port);
  const auto launch = [&](bool accepts) {
    return broker_->Launch({.entry = Greet,
                            .grants = {{"server", ListenAt({"127.0.0.1"}, {port})}},
                            .accepts_connections = accepts});
  };
  absl::StatusOr<Worker> worker = launch(true);
  ASSERT_OK(worker);
  const UniqueFd client = ConnectedSoon(g_port);
  EXPECT_EQ(Receive(client, 5), "hello");
  EXPECT_EQ(worker->Wait().exit_code(), 0);
  worker = launch(false);
  ASSERT_OK(worker);
  EXPECT_EQ(worker->Wait().exit_code(), 3);
}

TEST_F(LaunchedProgramTest, NamesOfGrantsAreDistinct) {
  EXPECT_THAT(LaunchCurl({Local("web", "localhost"), Local("web", "other.test")}),
              StatusIs(absl::StatusCode::kInvalidArgument));
}

}  // namespace
}  // namespace capbroker
