// What a hostile worker tries against the supervisor that connects for it.
#include <fcntl.h>
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
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/unique_fd.h"
#include "gtest/gtest.h"
#include "sandbox/supervisor/capability_errno.h"
#include "services/net/connector_limits.h"
#include "tests/connections/connected_fixture.h"

namespace capbroker::testing {
namespace {

using net::LocalServer;
using net::Receive;
using net::Send;
using sandbox::Faults;
using sandbox::kEcapmode;
using sandbox::kEnotcapable;

class ConnectionAttacksTest : public ConnectedTest {
 protected:
  ConnectionAttacksTest() { Grant(Local({"127.0.0.1"}, {server_.port_text()})); }
};

std::string Receive(int socket, size_t bytes) { return Receive(FdRef::FromRaw(socket), bytes); }

int ConnectToNames(int mode = 0) {
  const int socket = ::socket(AF_UNIX, SOCK_STREAM | mode, 0);
  sockaddr_un name = {};
  name.sun_family = AF_UNIX;
  std::strcpy(name.sun_path, "/var/run/nscd/socket");
  return connect(socket, reinterpret_cast<sockaddr*>(&name), sizeof name) == 0 ? socket : -errno;
}

std::string Request(int32_t version, int32_t type, int32_t key_size, const std::string& key) {
  std::string request;
  for (const int32_t word : {version, type, key_size}) {
    request.append(reinterpret_cast<const char*>(&word), sizeof word);
  }
  return request + key;
}

// INVARIANT(decided-on-a-copy)
TEST_F(ConnectionAttacksTest, CannotChangeTheAddressUnderTheCall) {
  const LocalServer forbidden("127.0.0.2", server_.port());
  const uint16_t port = server_.port();
  EXPECT_EQ(Run([=](Faults& faults) {
              const in_addr_t good = htonl(INADDR_LOOPBACK), bad = good + htonl(1);
              RaceAddresses(faults, good, bad, port, [](const sockaddr_in& address) {
                const int socket = NewSocket();
                const int error = ConnectTo(socket, address);
                shutdown(socket, SHUT_RDWR);
                close(socket);
                return error;
              });
            }),
            "");
  EXPECT_FALSE(forbidden.HasConnection());
}

TEST_F(ConnectionAttacksTest, CannotPointAConnectionElsewhere) {
  const LocalServer forbidden("127.0.0.2", server_.port());
  const uint16_t port = server_.port();
  EXPECT_EQ(
      Run([=](Faults& faults) {
        sockaddr_in bad = AddressOf("127.0.0.2", port);
        auto* const name = reinterpret_cast<sockaddr*>(&bad);
        const int connected = NewSocket(), placeholder = NewSocket();
        faults.Expect(ConnectTo(connected, AddressOf("127.0.0.1", port)) == 0, "connect");
        faults.Expect(ConnectTo(connected, bad) == -EISCONN, "connect once more");
        for (const int socket : {connected, placeholder}) {
          sockaddr nowhere = {};
          nowhere.sa_family = AF_UNSPEC;
          faults.ExpectErrno(connect(socket, &nowhere, sizeof nowhere), kEcapmode, "disconnect");
          faults.ExpectErrno(connect(socket, &nowhere, 2), kEcapmode, "disconnect");
          faults.ExpectErrno(sendto(socket, "x", 1, MSG_NOSIGNAL, name, sizeof bad), EACCES,
                             "sendto");
          faults.ExpectErrno(sendto(socket, "x", 1, MSG_NOSIGNAL | MSG_FASTOPEN, name, sizeof bad),
                             EACCES, "fast");
          char byte = 'x';
          iovec content = {&byte, 1};
          msghdr message = {};
          message.msg_name = name;
          message.msg_namelen = sizeof bad;
          message.msg_iov = &content;
          message.msg_iovlen = 1;
          faults.ExpectErrno(sendmsg(socket, &message, MSG_NOSIGNAL | MSG_FASTOPEN), EINVAL,
                             "fast");
          if (socket == placeholder) {
            faults.ExpectErrno(sendmsg(socket, &message, MSG_NOSIGNAL), EPIPE, "sendmsg");
          }
          const int on = 1;
          faults.ExpectErrno(setsockopt(socket, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, &on, sizeof on),
                             ENOPROTOOPT, "TCP_FASTOPEN_CONNECT");
          faults.ExpectErrno(setsockopt(socket, IPPROTO_TCP, TCP_REPAIR, &on, sizeof on),
                             ENOPROTOOPT, "TCP_REPAIR");
          faults.ExpectErrno(setsockopt(socket, SOL_SOCKET, SO_MARK, &on, sizeof on), ENOPROTOOPT,
                             "SO_MARK");
          faults.ExpectErrno(setsockopt(socket, SOL_SOCKET, SO_BINDTODEVICE, "lo", 3), ENOPROTOOPT,
                             "SO_BINDTODEVICE");
        }
        // After its end the same holds.
        shutdown(connected, SHUT_RDWR);
        faults.Expect(ConnectTo(connected, bad) != 0, "after the end");
      }),
      "");
  EXPECT_FALSE(forbidden.HasConnection());
}

TEST_F(ConnectionAttacksTest, CannotConnectWithAMalformedAddress) {
  const uint16_t port = server_.port();
  EXPECT_EQ(
      Run([=](Faults& faults) {
        sockaddr_storage address = {};
        const sockaddr_in good = AddressOf("127.0.0.1", port);
        std::memcpy(&address, &good, sizeof good);
        auto* const name = reinterpret_cast<sockaddr*>(&address);
        const auto attempt = [&](socklen_t size, int error) {
          faults.ExpectErrno(connect(NewSocket(), name, size), error, absl::StrCat(size, " bytes"));
        };
        attempt(0, EINVAL);
        attempt(1, EINVAL);
        attempt(2, EINVAL);
        attempt(sizeof good - 1, EINVAL);
        attempt(sizeof address + 1, EINVAL);
        attempt(0x80000000u, EINVAL);
        faults.ExpectErrno(connect(NewSocket(), nullptr, sizeof good), EFAULT, "no address");
        address.ss_family = AF_INET6;
        attempt(sizeof(sockaddr_in6), EAFNOSUPPORT);
        address.ss_family = 200;
        attempt(sizeof address, EAFNOSUPPORT);
        address.ss_family = AF_INET;
        faults.ExpectErrno(connect(999, name, sizeof good), EBADF, "no descriptor");
        faults.ExpectErrno(connect(0, name, sizeof good), ENOTSOCK, "no socket");
        int pair[2];
        faults.ExpectErrno(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0, "pair");
        faults.ExpectErrno(connect(pair[0], name, sizeof good), EAFNOSUPPORT, "another family");
        attempt(sizeof address, 0);
      }),
      "");
}

// An IPv4 address in IPv6's clothes is that address.
TEST_F(ConnectionAttacksTest, CannotHideAnAddressInAMappedOne) {
  const LocalServer forbidden("127.0.0.2", server_.port());
  const uint16_t port = server_.port();
  EXPECT_EQ(
      Run([=](Faults& faults) {
        sockaddr_in6 mapped = {};
        mapped.sin6_family = AF_INET6;
        mapped.sin6_port = htons(port);
        mapped.sin6_addr.s6_addr[10] = mapped.sin6_addr.s6_addr[11] = 0xff;
        mapped.sin6_addr.s6_addr[12] = 127;
        mapped.sin6_addr.s6_addr[15] = 2;
        const int socket = ::socket(AF_INET6, SOCK_STREAM, 0);
        faults.ExpectErrno(connect(socket, reinterpret_cast<sockaddr*>(&mapped), sizeof mapped),
                           kEnotcapable, "not granted");
        mapped.sin6_addr.s6_addr[15] = 1;
        faults.ExpectErrno(connect(socket, reinterpret_cast<sockaddr*>(&mapped), sizeof mapped), 0,
                           "granted");
      }),
      "");
  EXPECT_FALSE(forbidden.HasConnection());
}

// A number means nothing: the connection goes to where the call said, and hurts only its caller.
TEST_F(ConnectionAttacksTest, CannotConfuseByMovingDescriptorsMeanwhile) {
  server_.FallSilent();
  const uint16_t port = server_.port();
  auto worker = StartWorker([=](Faults& faults) {
    int ends[2];
    faults.ExpectErrno(pipe(ends), 0, "pipe");
    const int replaced = NewSocket(), closed = NewSocket();
    const int watch = dup(replaced);
    int results[2] = {-1, -1};
    std::thread first([&] { results[0] = ConnectTo(replaced, AddressOf("127.0.0.1", port)); });
    std::thread second([&] { results[1] = ConnectTo(closed, AddressOf("127.0.0.1", port)); });
    usleep(200'000);  // both have asked
    faults.ExpectErrno(dup2(ends[0], replaced) < 0 ? -1 : 0, 0, "dup2");
    close(closed);
    faults.Expect(write(ends[1], "x", 1) == 1, "the pipe is whole");
    faults.Expect(write(sandbox::kTether, "go", 2) == 2, "tell");
    first.join();
    second.join();
    faults.Expect(results[0] == 0 && results[1] == 0, "connected");
    for (const int socket : {replaced, closed}) {
      faults.Expect(Send(FdRef::FromRaw(socket), "here"), "is the connection");
    }
    faults.Expect(send(watch, "x", 1, MSG_NOSIGNAL) < 0, "another descriptor is a placeholder");
  });
  EXPECT_EQ(Receive(worker.tether.get(), 2), "go");
  server_.SpeakAgain();
  const UniqueFd one = server_.Accept(), two = server_.Accept();
  EXPECT_EQ(Receive(one, 4), "here");
  EXPECT_EQ(Receive(two, 4), "here");
  EXPECT_EQ(FaultsOf(std::move(worker)), "");
}

// Whose connect does not return may die, and nothing is left of it.
TEST_F(ConnectionAttacksTest, DyingInAConnectLeavesNothing) {
  server_.FallSilent();
  const uint16_t port = server_.port();
  auto worker = StartWorker([=](Faults&) {
    for (int i = 0; i < 20; ++i) {
      std::thread([=] { ConnectTo(NewSocket(), AddressOf("127.0.0.1", port)); }).detach();
    }
    usleep(100'000);
  });
  EXPECT_EQ(FaultsOf(std::move(worker)), "");
}

TEST_F(ConnectionAttacksTest, CannotChangeFlagsThatOthersShare) {
  auto worker = StartWorker([](Faults& faults) {
    faults.ExpectErrno(fcntl(sandbox::kTether, F_SETFL, O_NONBLOCK) < 0 ? -1 : 0, 0, "F_SETFL");
    int on = 1;
    faults.ExpectErrno(ioctl(sandbox::kTether, FIONBIO, &on), ENOTTY, "FIONBIO");
    faults.ExpectErrno(fcntl(sandbox::kTether, F_SETFL, 0), 0, "off");
    faults.ExpectErrno(fcntl(sandbox::kTether, F_SETFL, O_APPEND), EPERM, "O_APPEND");
    faults.Expect((fcntl(sandbox::kTether, F_GETFL) & O_NONBLOCK) == 0, "unchanged");
    int pair[2];
    faults.ExpectErrno(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0, "pair");
    faults.ExpectErrno(fcntl(pair[0], F_SETFL, O_NONBLOCK), 0, "its own");
    faults.Expect((fcntl(pair[0], F_GETFL) & O_NONBLOCK) != 0, "changed");
    faults.ExpectErrno(fcntl(pair[0], F_SETFL, O_NONBLOCK | O_ASYNC), EPERM, "O_ASYNC");
  });
  EXPECT_EQ(FaultsOf(std::move(worker)), "");
}

// --- The name service.

TEST_F(ConnectionAttacksTest, GarbageEndsAConversation) {
  EXPECT_EQ(Run([](Faults& faults) {
              const std::vector<std::string> garbage = {
                  std::string(5000, 'x'),
                  Request(1, 14, 9, std::string("web.test\0", 9)),
                  Request(2, 14, 0, ""),
                  Request(2, 14, -1, "web.test"),
                  Request(2, 14, 1 << 30, "web.test"),
                  Request(2, 14, 1025, std::string(1025, 'a')),
                  Request(2, 14, 8, "web.test"),                     // no end
                  Request(2, 14, 9, std::string("web\0test\0", 9)),  // two
                  Request(2, 14, 9, std::string("web.test\0", 9) + "and more"),
                  Request(2, 999, 9, std::string("web.test\0", 9)),
                  Request(2, -1, 9, std::string("web.test\0", 9)),
                  Request(2, 8, 9, std::string("shutdown\0", 9)),
                  Request(2, 13, 6, std::string("hosts\0", 6)),  // a mapping
              };
              for (size_t i = 0; i < garbage.size(); ++i) {
                const int socket = ConnectToNames();
                faults.Expect(socket >= 0, "connect");
                (void)!send(socket, garbage[i].data(), garbage[i].size(), MSG_NOSIGNAL);
                const std::string end = Receive(socket, 1);  // a reset, if not all of it was read
                faults.Expect(end.empty() || end == "(error)", absl::StrCat("garbage ", i, end));
                close(socket);
              }
              // Of users nobody knows anything here.
              const int socket = ConnectToNames();
              const std::string request = Request(2, 0, 5, std::string("root\0", 5));
              (void)!send(socket, request.data(), request.size(), MSG_NOSIGNAL);
              const std::string answer = Receive(socket, 36);
              int32_t words[2] = {};
              if (answer.size() == 36) std::memcpy(words, answer.data(), sizeof words);
              faults.Expect(words[0] == 2 && words[1] == -1, "a user");
            }),
            "");
}

TEST_F(ConnectionAttacksTest, AFloodOfConversationsEndsTheOldest) {
  Grant(Local({"web.test"}, {server_.port_text()}));
  const uint16_t port = server_.port();
  EXPECT_EQ(Run([=](Faults& faults) {
              std::vector<int> sockets;
              for (int i = 0; i < 40; ++i) {
                sockets.push_back(ConnectToNames());
                faults.Expect(sockets.back() >= 0, "connect");
                (void)!send(sockets.back(), "abc", 3, MSG_NOSIGNAL);
              }
              faults.Expect(Receive(sockets.front(), 1).empty(), "the oldest has ended");
              pollfd last = {.fd = sockets.back(), .events = POLLIN, .revents = 0};
              faults.Expect(poll(&last, 1, 0) == 0, "the last one goes on");
              sockaddr_in address = {};
              faults.Expect(FindAddress("web.test", port, address) == 0, "getaddrinfo");
            }),
            "");
}

// What is not granted does not leave this machine, in whatever it is hidden.
TEST_F(ConnectionAttacksTest, NamesThatAreNotGrantedReachNobody) {
  Grant(Local({"web.test"}, {server_.port_text()}));
  EXPECT_EQ(Run([](Faults& faults) {
              for (const std::string name :
                   {"secret.evil.test", "web.test.evil.test", "WEB.TEST.", "-x", "127.1", "0x7f.1",
                    "a b", "web.test\nserver", "localhost", "127.0.0.1"}) {
                const int socket = ConnectToNames();
                const std::string request =
                    Request(2, 14, static_cast<int32_t>(name.size()) + 1, name + '\0');
                (void)!send(socket, request.data(), request.size(), MSG_NOSIGNAL);
                const std::string answer = Receive(socket, 24);
                int32_t words[2] = {-2, -2};
                if (answer.size() == 24) std::memcpy(words, answer.data(), sizeof words);
                faults.Expect(words[0] == 2 && words[1] == (name == "WEB.TEST." ? 1 : 0), name);
                close(socket);
              }
            }),
            "");
  for (const std::string& query : hosts_.Queries()) {
    EXPECT_TRUE(query == "A web.test" || query == "AAAA web.test") << query;
  }
}

// INVARIANT(object-checked-after-look)
TEST_F(ConnectionAttacksTest, ARebindingNameLeadsNowhere) {
  Grant(net::LimitsForHosts({"*.test"}, {"*"}));
  const uint16_t port = server_.port();
  EXPECT_EQ(Run([=](Faults& faults) {
              sockaddr_in address = {};
              for (const char* name : {"rebind.test", "metadata.test", "internal.test"}) {
                faults.Expect(FindAddress(name, port, address) != 0, name);
              }
              for (const char* text : {"127.0.0.1", "169.254.169.254", "0.0.0.0", "10.0.0.1"}) {
                const int error = ConnectTo(NewSocket(), AddressOf(text, port));
                faults.Expect(error == -kEnotcapable, absl::StrCat(text, ": ", error));
              }
            }),
            "");
  EXPECT_FALSE(server_.HasConnection());
}

TEST_F(ConnectionAttacksTest, AFloodOfConnectionsRunsOutOfItsLeases) {
  const uint16_t port = server_.port();
  EXPECT_EQ(Run([=](Faults& faults) {
              const sockaddr_in address = AddressOf("127.0.0.1", port);
              ExpectLeasesRunOut(faults, 64,
                                 [&](int socket) { return ConnectTo(socket, address); });
            }),
            "");
}

}  // namespace
}  // namespace capbroker::testing
