// A worker's code that knows of no channel connects by name.
#include <fcntl.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <thread>
#include <utility>

#include "base/unique_fd.h"
#include "gtest/gtest.h"
#include "sandbox/supervisor/capability_errno.h"
#include "tests/connections/connected_fixture.h"

namespace capbroker::testing {
namespace {

using net::LocalServer;
using net::Receive;
using net::Send;
using sandbox::Faults;
using sandbox::kEcapmode;
using sandbox::kEnotcapable;

int IntOption(int socket, int level, int option) {
  int value = -1;
  socklen_t size = sizeof value;
  return getsockopt(socket, level, option, &value, &size) == 0 ? value : -1;
}

std::string Receive(int socket, size_t bytes) { return Receive(FdRef::FromRaw(socket), bytes); }

TEST_F(ConnectedTest, ConnectsToANameThatWasGranted) {
  const uint16_t port = server_.port();
  auto worker = StartWorker([port](Faults& faults) {
    sockaddr_in address = {};
    const int error = FindAddress("web.test", port, address);
    faults.Expect(error == 0, "getaddrinfo: " + std::to_string(error));
    const int socket = NewSocket(SOCK_CLOEXEC);
    faults.ExpectErrno(-ConnectTo(socket, address) == 0 ? 0 : -1, 0, "connect");
    faults.Expect(Send(FdRef::FromRaw(socket), "hello"), "send");
    faults.Expect(Receive(socket, 6) == "answer", "receive");
    sockaddr_in peer = {};
    socklen_t size = sizeof peer;
    faults.ExpectErrno(getpeername(socket, reinterpret_cast<sockaddr*>(&peer), &size), 0, "peer");
    faults.Expect(peer.sin_port == htons(port), "its port");
    faults.Expect((fcntl(socket, F_GETFL) & O_NONBLOCK) == 0, "blocks");
  });
  const UniqueFd peer = server_.Accept();
  EXPECT_EQ(Receive(peer, 5), "hello");
  EXPECT_TRUE(Send(peer, "answer"));
  EXPECT_EQ(FaultsOf(std::move(worker)), "");
}

TEST_F(ConnectedTest, ConnectsWithoutWaiting) {
  const uint16_t port = server_.port();
  EXPECT_EQ(Run([port](Faults& faults) {
              sockaddr_in address = {};
              faults.Expect(FindAddress("web.test", port, address) == 0, "getaddrinfo");
              for (const bool later : {false, true}) {
                const int socket = NewSocket(later ? 0 : SOCK_NONBLOCK);
                int on = 1;
                if (later) faults.ExpectErrno(ioctl(socket, FIONBIO, &on), 0, "FIONBIO");
                const int error = ConnectTo(socket, address);
                faults.Expect(error == 0 || error == -EINPROGRESS,
                              "connect: " + std::to_string(error));
                pollfd polled = {.fd = socket, .events = POLLOUT, .revents = 0};
                faults.Expect(poll(&polled, 1, 20'000) == 1, "poll");
                faults.Expect(IntOption(socket, SOL_SOCKET, SO_ERROR) == 0, "SO_ERROR");
                faults.Expect((fcntl(socket, F_GETFL) & O_NONBLOCK) != 0, "does not block");
                char byte;
                faults.ExpectErrno(recv(socket, &byte, 1, 0), EAGAIN, "receive");
                faults.Expect(ConnectTo(socket, address) == -EISCONN, "once more");
                int off = 0;
                faults.ExpectErrno(ioctl(socket, FIONBIO, &off), 0, "FIONBIO");
                faults.Expect((fcntl(socket, F_GETFL) & O_NONBLOCK) == 0, "blocks");
              }
            }),
            "");
}

TEST_F(ConnectedTest, WaitsForAPeerWhileOtherThreadsGoOn) {
  LocalServer slow("127.0.0.3");
  Grant(Local({"127.0.0.3", "web.test"}, {server_.port_text(), slow.port_text()}));
  slow.FallSilent();
  const uint16_t port = server_.port(), slow_port = slow.port();
  auto worker = StartWorker([=](Faults& faults) {
    int waited = -1;
    const int slow_socket = NewSocket();
    std::thread waiting(
        [&] { waited = ConnectTo(slow_socket, AddressOf("127.0.0.3", slow_port)); });
    sockaddr_in address = {};
    faults.Expect(FindAddress("web.test", port, address) == 0, "getaddrinfo");
    const int socket = NewSocket();
    faults.Expect(ConnectTo(socket, address) == 0, "connect meanwhile");
    faults.Expect(Send(FdRef::FromRaw(socket), "now"), "tell");
    waiting.join();
    faults.Expect(waited == 0, "connect that waits: " + std::to_string(waited));
    faults.Expect((fcntl(slow_socket, F_GETFL) & O_NONBLOCK) == 0, "blocks");
    faults.Expect(Send(FdRef::FromRaw(slow_socket), "late"), "send");
  });
  const UniqueFd told = server_.Accept();
  EXPECT_EQ(Receive(told, 3), "now");
  slow.SpeakAgain();
  const UniqueFd late = slow.Accept();
  EXPECT_EQ(Receive(late, 4), "late");
  EXPECT_EQ(FaultsOf(std::move(worker)), "");
}

TEST_F(ConnectedTest, RefusesWhatWasNotGranted) {
  const uint16_t port = server_.port(), other_port = LocalServer().port();
  EXPECT_EQ(
      Run([=](Faults& faults) {
        sockaddr_in address = {};
        for (const char* name : {"other.test", "internal.test", "localhost.", "missing.test"}) {
          const int error = FindAddress(name, port, address);
          faults.Expect(error == EAI_NONAME, std::string(name) + ": " + std::to_string(error));
        }
        const auto refused = [&](const sockaddr_in& to, const char* what) {
          const int error = ConnectTo(NewSocket(), to);
          faults.Expect(error == -kEnotcapable, std::string(what) + ": " + std::to_string(error));
        };
        refused(AddressOf("127.0.0.1", port), "an address before its name");
        faults.Expect(FindAddress("web.test", port, address) == 0, "getaddrinfo");
        refused(AddressOf("127.0.0.2", port), "another's address");
        refused(AddressOf("127.0.0.1", other_port), "another port");
        refused(AddressOf("169.254.169.254", 80), "metadata");
        refused(AddressOf("0.0.0.0", port), "any");
        sockaddr_un local = {};
        local.sun_family = AF_UNIX;
        for (const char* path :
             {"/run/systemd/notify", "/var/run/nscd/socket2", "var/run/nscd/socket"}) {
          std::strcpy(local.sun_path, path);
          const int socket = ::socket(AF_UNIX, SOCK_STREAM, 0);
          faults.ExpectErrno(connect(socket, reinterpret_cast<sockaddr*>(&local), sizeof local),
                             kEnotcapable, path);
        }
        faults.Expect(ConnectTo(NewSocket(), address) == 0, "and the one that was granted");
      }),
      "");
  for (const std::string& query : hosts_.Queries()) {
    EXPECT_NE(query.find("web.test"), std::string::npos) << query;
  }
}

TEST_F(ConnectedTest, RefusesWithTheErrnoOfTheStart) {
  refusal_ = Refusal::kAccess;
  const uint16_t port = server_.port();
  EXPECT_EQ(Run([=](Faults& faults) {
              faults.Expect(ConnectTo(NewSocket(), AddressOf("127.0.0.1", port)) == -EACCES,
                            "EACCES");
              sockaddr nowhere = {};
              faults.ExpectErrno(connect(NewSocket(), &nowhere, sizeof nowhere), EPERM, "nowhere");
              faults.ExpectErrno(listen(NewSocket(), 1), EPERM, "listen");
            }),
            "");
}

TEST_F(ConnectedTest, TellsWhatThePeerSays) {
  const uint16_t closed = LocalServer().port();
  Grant(Local({"127.0.0.1"}, {std::to_string(closed)}));
  EXPECT_EQ(Run([=](Faults& faults) {
              const sockaddr_in address = AddressOf("127.0.0.1", closed);
              faults.Expect(ConnectTo(NewSocket(), address) == -ECONNREFUSED, "refused");
              const int socket = NewSocket(SOCK_NONBLOCK);
              int error = ConnectTo(socket, address);
              if (error == -EINPROGRESS) {
                pollfd polled = {.fd = socket, .events = POLLOUT, .revents = 0};
                poll(&polled, 1, 20'000);
                error = -IntOption(socket, SOL_SOCKET, SO_ERROR);
              }
              faults.Expect(error == -ECONNREFUSED, "refused later");
            }),
            "");
}

TEST_F(ConnectedTest, KeepsWhatWasSetOnTheSocket) {
  Grant(Local({"127.0.0.1"}, {server_.port_text()}));
  const uint16_t port = server_.port();
  EXPECT_EQ(Run([=](Faults& faults) {
              const int socket = NewSocket();
              const auto set = [&](int level, int option, int value) {
                faults.ExpectErrno(setsockopt(socket, level, option, &value, sizeof value), 0,
                                   "setsockopt");
              };
              set(IPPROTO_TCP, TCP_NODELAY, 1);
              set(SOL_SOCKET, SO_KEEPALIVE, 1);
              set(IPPROTO_TCP, TCP_KEEPIDLE, 77);
              const timeval soon = {.tv_sec = 0, .tv_usec = 200'000};
              faults.ExpectErrno(setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &soon, sizeof soon), 0,
                                 "timeout");
              faults.Expect(ConnectTo(socket, AddressOf("127.0.0.1", port)) == 0, "connect");
              faults.Expect(IntOption(socket, IPPROTO_TCP, TCP_NODELAY) == 1, "TCP_NODELAY");
              faults.Expect(IntOption(socket, IPPROTO_TCP, TCP_KEEPIDLE) == 77, "TCP_KEEPIDLE");
              char byte;
              faults.ExpectErrno(recv(socket, &byte, 1, 0), EAGAIN, "SO_RCVTIMEO");
            }),
            "");
}

// A program that is done closes, and the peer hears of it while the program goes on.
TEST_F(ConnectedTest, PeerHearsOfTheCloseOfTheLastDescriptor) {
  Grant(Local({"127.0.0.1"}, {server_.port_text()}));
  const uint16_t port = server_.port();
  auto worker = StartWorker([=](Faults& faults) {
    const int kept = NewSocket(), closed = NewSocket();
    faults.Expect(ConnectTo(kept, AddressOf("127.0.0.1", port)) == 0, "connect");
    faults.Expect(ConnectTo(closed, AddressOf("127.0.0.1", port)) == 0, "connect");
    const int again = dup(closed);
    close(closed);
    Send(FdRef::FromRaw(again), "the last words");
    close(again);
    faults.Expect(Receive(kept, 4) == "done", "goes on");
  });
  const UniqueFd kept = server_.Accept(), closed = server_.Accept();
  EXPECT_EQ(Receive(closed, 100), "the last words");  // up to the end
  EXPECT_TRUE(Send(kept, "done"));
  EXPECT_EQ(FaultsOf(std::move(worker)), "");
}

TEST_F(ConnectedTest, PeerHearsOfTheEndOfTheWorker) {
  Grant(Local({"127.0.0.1"}, {server_.port_text()}));
  const uint16_t port = server_.port();
  auto worker = StartWorker([=](Faults& faults) {
    faults.Expect(ConnectTo(NewSocket(), AddressOf("127.0.0.1", port)) == 0, "connect");
  });
  const UniqueFd peer = server_.Accept();
  EXPECT_EQ(Receive(peer, 1), "");
  EXPECT_EQ(FaultsOf(std::move(worker)), "");
}

// INVARIANT(leases-end-with-their-channel)
TEST_F(ConnectedTest, RevocationEndsConnections) {
  Grant(Local({"127.0.0.1"}, {server_.port_text()}));
  const uint16_t port = server_.port();
  auto worker = StartWorker([=](Faults& faults) {
    const sockaddr_in address = AddressOf("127.0.0.1", port);
    const int socket = NewSocket();
    faults.Expect(ConnectTo(socket, address) == 0, "connect");
    faults.Expect(Send(FdRef::FromRaw(socket), "ready"), "send");
    faults.Expect(Receive(socket, 1).empty(), "ends");
    faults.Expect(send(socket, "x", 1, MSG_NOSIGNAL) == -1 && errno == EPIPE, "is no more");
    const int again = ConnectTo(NewSocket(), address);
    faults.Expect(again == -kEnotcapable, "a new one: " + std::to_string(again));
    faults.Expect(ConnectTo(socket, address) < 0, "the same");
    sockaddr_in found;
    faults.Expect(FindAddress("web.test", port, found) != 0, "names");
  });
  const UniqueFd peer = server_.Accept();
  EXPECT_EQ(Receive(peer, 5), "ready");
  connector_->Revoke();
  EXPECT_EQ(Receive(peer, 1), "");
  EXPECT_EQ(FaultsOf(std::move(worker)), "");
}

TEST_F(ConnectedTest, GivesEachChannelItsOwnPairs) {
  const LocalServer second("127.0.0.2");
  Grant(Local({"web.test"}, {server_.port_text()}));
  net::ConnectorProcess other(hosts_, Local({"other.test"}, {second.port_text()}));
  sandbox::Start start = NewStart();
  start.supervision->outside.connectors.push_back(other.TakeLane());
  const uint16_t port = server_.port(), second_port = second.port();
  auto worker = runner_.Start(
      [=] {
        sockaddr_in web = {}, other_address = {};
        if (FindAddress("web.test", port, web) != 0) return 1;
        if (FindAddress("other.test", second_port, other_address) != 0) return 2;
        if (ConnectTo(NewSocket(), web) != 0) return 3;
        if (ConnectTo(NewSocket(), other_address) != 0) return 4;
        web.sin_port = htons(second_port);
        other_address.sin_port = htons(port);
        if (ConnectTo(NewSocket(), web) != -kEnotcapable) return 5;
        return ConnectTo(NewSocket(), other_address) == -kEnotcapable ? 33 : 6;
      },
      std::move(start));
  EXPECT_EQ(sandbox::Collect(std::move(worker)).exit_code(), 33);
}

TEST_F(ConnectedTest, MakesNoServersUngrantedAndNoDatagrams) {
  EXPECT_EQ(Run([](Faults& faults) {
              const int socket = NewSocket();
              sockaddr_in any = AddressOf("0.0.0.0", 0);
              faults.ExpectErrno(bind(socket, reinterpret_cast<sockaddr*>(&any), sizeof any),
                                 kEnotcapable, "bind");
              faults.ExpectErrno(listen(socket, 1), kEcapmode, "listen");
              faults.ExpectErrno(accept(socket, nullptr, nullptr), kEcapmode, "accept");
              for (const int family : {AF_INET, AF_INET6, AF_UNIX, AF_NETLINK, AF_PACKET}) {
                faults.ExpectErrno(::socket(family, SOCK_DGRAM, 0), EACCES, "datagrams");
                faults.ExpectErrno(::socket(family, SOCK_RAW, 0), EACCES, "raw");
              }
              faults.ExpectErrno(::socket(AF_INET, SOCK_STREAM, IPPROTO_SCTP), EACCES, "SCTP");
              int pair[2];
              faults.ExpectErrno(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair), EACCES, "pair");
              faults.ExpectErrno(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0, "stream pair");
            }),
            "");
}

}  // namespace
}  // namespace capbroker::testing
