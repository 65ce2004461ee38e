// A worker's code that knows of no channel is a TCP server, by grant.
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/unique_fd.h"
#include "gtest/gtest.h"
#include "sandbox/supervisor/capability_errno.h"
#include "services/net/testing/local_server.h"
#include "tests/connections/connected_fixture.h"

namespace capbroker::testing {
namespace {

using net::ConnectedTo;
using net::LocalServer;
using net::Receive;
using net::Send;
using sandbox::Faults;
using sandbox::kEcapmode;
using sandbox::kEnotcapable;
using sandbox::kTether;

constexpr int kPatience = 20'000;  // milliseconds

uint16_t PortOf(int socket) {
  sockaddr_in name = {};
  socklen_t size = sizeof name;
  getsockname(socket, reinterpret_cast<sockaddr*>(&name), &size);
  return ntohs(name.sin_port);  // at the same place in both families
}

int IntOption(int socket, int level, int option) {
  int value = -1;
  socklen_t size = sizeof value;
  return getsockopt(socket, level, option, &value, &size) == 0 ? value : -1;
}

// From a worker to the test.
void TellPort(int socket) {
  const uint16_t port = PortOf(socket);
  (void)!write(kTether, &port, sizeof port);
}
uint16_t HearPort(FdRef tether) {
  const std::string told = Receive(tether, sizeof(uint16_t));
  uint16_t port = 0;
  if (told.size() == sizeof port) std::memcpy(&port, told.data(), sizeof port);
  return port;
}

class ServingWorkerTest : public ConnectedTest {
 protected:
  ServingWorkerTest() { GrantServers({"127.0.0.1", "::1"}, {"0", free_port_text()}); }

  // At which nobody listens.
  uint16_t free_port() const { return free_port_; }
  std::string free_port_text() const { return std::to_string(free_port_); }

 private:
  const uint16_t free_port_ = LocalServer().port();
};

TEST_F(ServingWorkerTest, ServesAtAGrantedAddress) {
  auto worker = StartWorker([](Faults& faults) {
    const int server = NewSocket(SOCK_CLOEXEC);
    faults.Expect(BindTo(server, AddressOf("127.0.0.1", 0)) == 0, "bind");
    faults.ExpectErrno(listen(server, 5), 0, "listen");
    faults.Expect(PortOf(server) != 0, "has a port");
    faults.Expect(IntOption(server, SOL_SOCKET, SO_ACCEPTCONN) == 1, "listens");
    faults.Expect((fcntl(server, F_GETFL) & O_NONBLOCK) == 0, "blocks");
    TellPort(server);
    sockaddr_in peer = {};
    socklen_t size = sizeof peer;
    const int connection = accept4(server, reinterpret_cast<sockaddr*>(&peer), &size, SOCK_CLOEXEC);
    faults.Expect(connection >= 0, "accept");
    faults.Expect(peer.sin_addr.s_addr == htonl(INADDR_LOOPBACK), "whom");
    faults.Expect(PortOf(connection) == PortOf(server), "its port");
    faults.Expect(Receive(FdRef::FromRaw(connection), 5) == "hello", "receive");
    faults.Expect(Send(FdRef::FromRaw(connection), "answer"), "send");
    close(connection);  // ends it
    faults.Expect(Receive(FdRef::FromRaw(kTether), 1) == "x", "told to end");
  });
  const UniqueFd client = ConnectedTo("127.0.0.1", HearPort(worker.tether));
  ASSERT_TRUE(client.valid());
  EXPECT_TRUE(Send(client, "hello"));
  EXPECT_EQ(Receive(client, 7), "answer");
  EXPECT_TRUE(Send(worker.tether, "x"));
  EXPECT_EQ(FaultsOf(std::move(worker)), "");
}

TEST_F(ServingWorkerTest, ServesWithoutWaitingWithWhatWasSet) {
  auto worker = StartWorker([](Faults& faults) {
    const int server = NewSocket(SOCK_NONBLOCK), on = 1, off = 0;
    for (const auto& [level, option] :
         {std::pair(SOL_SOCKET, SO_REUSEADDR), std::pair(int{IPPROTO_TCP}, TCP_NODELAY),
          std::pair(SOL_SOCKET, SO_KEEPALIVE), std::pair(SOL_SOCKET, SO_REUSEPORT)}) {
      faults.ExpectErrno(setsockopt(server, level, option, &on, sizeof on), 0, "option");
    }
    faults.Expect(BindTo(server, AddressOf("127.0.0.1", 0)) == 0, "bind");
    faults.Expect(IntOption(server, SOL_SOCKET, SO_REUSEPORT) == 1, "shares its port");
    faults.ExpectErrno(listen(server, 5), 0, "listen");
    faults.ExpectErrno(accept4(server, nullptr, nullptr, 0), EAGAIN, "nobody yet");
    TellPort(server);
    pollfd polled = {.fd = server, .events = POLLIN, .revents = 0};
    faults.Expect(poll(&polled, 1, kPatience) == 1, "poll");
    int connection = accept4(server, nullptr, nullptr, 0);
    faults.Expect(IntOption(connection, IPPROTO_TCP, TCP_NODELAY) == 1, "TCP_NODELAY");
    faults.Expect(IntOption(connection, SOL_SOCKET, SO_KEEPALIVE) == 1, "SO_KEEPALIVE");
    char byte;
    for (int flag : {on, off, on}) {
      faults.ExpectErrno(ioctl(connection, FIONBIO, &flag), 0, "FIONBIO");
      faults.Expect(((fcntl(connection, F_GETFL) & O_NONBLOCK) != 0) == (flag != 0), "is set");
    }
    faults.ExpectErrno(recv(connection, &byte, 1, faults.text().empty() ? 0 : MSG_DONTWAIT), EAGAIN,
                       "does not block");
    faults.ExpectErrno(fcntl(connection, F_SETFL, O_RDWR), 0, "F_SETFL");
    faults.Expect(Receive(FdRef::FromRaw(kTether), 1) == "x", "told to end");
  });
  const UniqueFd client = ConnectedTo("127.0.0.1", HearPort(worker.tether));
  EXPECT_TRUE(client.valid());
  EXPECT_TRUE(Send(worker.tether, "x"));
  EXPECT_EQ(FaultsOf(std::move(worker)), "");
}

TEST_F(ServingWorkerTest, ServesOverIPv6) {
  auto worker = StartWorker([](Faults& faults) {
    const int server = socket(AF_INET6, SOCK_STREAM, 0), on = 1;
    faults.ExpectErrno(setsockopt(server, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on), 0, "v6");
    sockaddr_in6 name = {};
    name.sin6_family = AF_INET6;
    name.sin6_addr = in6addr_loopback;
    faults.ExpectErrno(bind(server, reinterpret_cast<sockaddr*>(&name), sizeof name), 0, "bind");
    faults.ExpectErrno(listen(server, 5), 0, "listen");
    faults.Expect(IntOption(server, IPPROTO_IPV6, IPV6_V6ONLY) == 1, "of IPv6 alone");
    TellPort(server);
    faults.Expect(accept(server, nullptr, nullptr) >= 0, "accept");
  });
  EXPECT_TRUE(ConnectedTo("::1", HearPort(worker.tether)).valid());
  EXPECT_EQ(FaultsOf(std::move(worker)), "");
}

TEST_F(ServingWorkerTest, RefusesWhatWasNotGranted) {
  const uint16_t granted = free_port(), other = LocalServer().port();
  for (const Refusal refusal : {Refusal::kNotCapable, Refusal::kAccess, Refusal::kAbsent}) {
    GrantServers({"127.0.0.1"}, {free_port_text()});
    Grant(Local({"127.0.0.1"}, {server_.port_text()}));
    refusal_ = refusal;
    const int error = refusal == Refusal::kNotCapable ? kEnotcapable : EACCES;
    EXPECT_EQ(
        Run([=](Faults& faults) {
          for (const char* address : {"127.0.0.2", "0.0.0.0", "192.0.2.1", "255.255.255.255"}) {
            faults.Expect(BindTo(NewSocket(), AddressOf(address, granted)) == -error, address);
          }
          for (const uint16_t port : {uint16_t{0}, uint16_t{80}, other}) {
            faults.Expect(BindTo(NewSocket(), AddressOf("127.0.0.1", port)) == -error,
                          absl::StrCat("port ", port));
          }
        }),
        "");
  }
}

TEST_F(ServingWorkerTest, HearsWhatTheHostSays) {
  const LocalServer taken;
  GrantServers({"*"}, {taken.port_text(), "0"});
  const uint16_t port = taken.port();
  EXPECT_EQ(Run([=](Faults& faults) {
              const int in_use = BindTo(NewSocket(), AddressOf("127.0.0.1", port));
              faults.Expect(in_use == -EADDRINUSE, absl::StrCat("in use: ", in_use));
              const int of_nobody = BindTo(NewSocket(), AddressOf("192.0.2.1", 0));
              faults.Expect(of_nobody == -EADDRNOTAVAIL, absl::StrCat("of nobody: ", of_nobody));
              faults.Expect(BindTo(NewSocket(), AddressOf("0.0.0.0", 0)) == 0, "all addresses");
            }),
            "");
}

// The kernel frees a port when the last descriptor is closed, and there are others than the
// worker's.
TEST_F(ServingWorkerTest, MayBeAServerAgainAtOnce) {
  const uint16_t port = free_port();
  EXPECT_EQ(Run([=](Faults& faults) {
              for (int i = 0; i < 40; ++i) {
                const int server = NewSocket();
                const int error = BindTo(server, AddressOf("127.0.0.1", port));
                faults.Expect(error == 0, absl::StrCat("time ", i, ": ", error));
                faults.ExpectErrno(listen(server, 1), 0, "listen");
                close(server);
              }
            }),
            "");
}

TEST_F(ServingWorkerTest, AClosedServerRefusesConnections) {
  auto worker = StartWorker([](Faults& faults) {
    const int server = NewSocket(), copy = dup(server);
    faults.Expect(BindTo(server, AddressOf("127.0.0.1", 0)) == 0, "bind");
    faults.ExpectErrno(listen(copy, 1), kEcapmode, "a copy from before is a placeholder");
    const int after = dup(server);
    close(server);
    TellPort(after);
    faults.Expect(Receive(FdRef::FromRaw(kTether), 1) == "x", "told to close");
    close(after);
    faults.Expect(Receive(FdRef::FromRaw(kTether), 1) == "x", "told to end");
  });
  const uint16_t port = HearPort(worker.tether);
  usleep(300'000);  // it was looked for meanwhile
  EXPECT_TRUE(ConnectedTo("127.0.0.1", port).valid());
  EXPECT_TRUE(Send(worker.tether, "x"));
  bool refused = false;
  for (int i = 0; i < 400 && !refused; ++i) {
    refused = !ConnectedTo("127.0.0.1", port).valid() && errno == ECONNREFUSED;
    usleep(20'000);
  }
  EXPECT_TRUE(refused);
  EXPECT_TRUE(Send(worker.tether, "x"));
  EXPECT_EQ(FaultsOf(std::move(worker)), "");
}

// INVARIANT(leases-end-with-their-channel)
TEST_F(ServingWorkerTest, RevocationEndsTheServerAndNotWhatItHasAccepted) {
  const uint16_t port = free_port();
  auto worker = StartWorker([=](Faults& faults) {
    const int server = NewSocket();
    faults.Expect(BindTo(server, AddressOf("127.0.0.1", port)) == 0, "bind");
    faults.ExpectErrno(listen(server, 5), 0, "listen");
    faults.Expect(write(kTether, "on", 2) == 2, "tell");
    const int connection = accept(server, nullptr, nullptr);
    faults.Expect(connection >= 0, "accept");
    faults.Expect(write(kTether, "go", 2) == 2, "tell");
    faults.ExpectErrno(accept(server, nullptr, nullptr), EINVAL, "accept is interrupted");
    for (int i = 0; i < 100; ++i) {
      faults.ExpectErrno(listen(server, 5), EINVAL, "listen again");
    }
    faults.Expect(BindTo(server, AddressOf("127.0.0.1", port)) == -EINVAL, "bind it again");
    faults.Expect(BindTo(NewSocket(), AddressOf("127.0.0.1", port)) == -kEnotcapable, "another");
    faults.Expect(Send(FdRef::FromRaw(connection), "still"), "what was accepted");
    faults.Expect(Receive(FdRef::FromRaw(kTether), 1) == "x", "told to end");
  });
  EXPECT_EQ(Receive(worker.tether, 2), "on");
  const UniqueFd client = ConnectedTo("127.0.0.1", port);
  EXPECT_EQ(Receive(worker.tether, 2), "go");
  listener_->Revoke();
  EXPECT_EQ(Receive(client, 5), "still");
  EXPECT_FALSE(ConnectedTo("127.0.0.1", port).valid());
  EXPECT_TRUE(Send(worker.tether, "x"));
  EXPECT_EQ(FaultsOf(std::move(worker)), "");
}

// Whoever has closed nothing has freed everything.
TEST_F(ServingWorkerTest, TheEndOfTheWorkerFreesItsPort) {
  const uint16_t port = free_port();
  EXPECT_EQ(Run([=](Faults& faults) {
              faults.Expect(BindTo(NewSocket(), AddressOf("127.0.0.1", port)) == 0, "bind");
            }),
            "");
  bool refused = false;
  for (int i = 0; i < 400 && !refused; ++i) {
    refused = !ConnectedTo("127.0.0.1", port).valid() && errno == ECONNREFUSED;
    usleep(20'000);
  }
  EXPECT_TRUE(refused);
}

}  // namespace
}  // namespace capbroker::testing
