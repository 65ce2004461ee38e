// What a hostile worker tries with one grant of a connection to get others.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <set>
#include <string>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/descriptor_packet.h"
#include "gtest/gtest.h"
#include "sandbox/supervisor/capability_errno.h"
#include "tests/connections/connected_fixture.h"

namespace capbroker::testing {
namespace {

using net::LocalServer;
using sandbox::Faults;
using sandbox::kEcapmode;
using sandbox::kEnotcapable;

class ConnectionEscapeTest : public ConnectedTest {
 protected:
  ConnectionEscapeTest() { Grant(Local({"127.0.0.1"}, {server_.port_text()})); }
};

int NewSocket(int family = AF_INET) { return socket(family, SOCK_STREAM, 0); }

int ConnectTo6(const char* address, uint16_t port) {
  sockaddr_in6 name = {};
  name.sin6_family = AF_INET6;
  name.sin6_port = htons(port);
  inet_pton(AF_INET6, address, &name.sin6_addr);
  return connect(NewSocket(AF_INET6), reinterpret_cast<sockaddr*>(&name), sizeof name) == 0
             ? 0
             : -errno;
}

TEST_F(ConnectionEscapeTest, NeitherAnotherPortNorAnotherAddressIsReached) {
  const LocalServer other_port, other_address("127.0.0.2", server_.port());
  const uint16_t port = server_.port(), other = other_port.port();
  EXPECT_EQ(
      Run([=](Faults& faults) {
        faults.Expect(ConnectTo(NewSocket(), AddressOf("127.0.0.1", port)) == 0, "granted");
        faults.Expect(ConnectTo(NewSocket(), AddressOf("127.0.0.1", other)) == -kEnotcapable,
                      "another port");
        for (const char* address : {"127.0.0.2", "127.0.0.0", "127.1.1.1", "0.0.0.0", "1.0.0.127",
                                    "255.255.255.255", "224.0.0.1", "169.254.169.254"}) {
          const int error = ConnectTo(NewSocket(), AddressOf(address, port));
          faults.Expect(error == -kEnotcapable, absl::StrCat(address, ": ", error));
        }
        for (const char* address :
             {"::1", "::", "::127.0.0.1", "::ffff:127.0.0.2", "::ffff:0:127.0.0.1",
              "64:ff9b::127.0.0.1", "2002:7f00:1::", "fe80::1"}) {
          const int error = ConnectTo6(address, port);
          faults.Expect(error == -kEnotcapable, absl::StrCat(address, ": ", error));
        }
        faults.Expect(ConnectTo(NewSocket(), AddressOf("127.0.0.1", 0)) < 0, "port 0");
      }),
      "");
  EXPECT_FALSE(other_port.HasConnection());
  EXPECT_FALSE(other_address.HasConnection());
}

// rebind.test is the granted web.test's address; the name is not granted.
TEST_F(ConnectionEscapeTest, AnotherNameOfTheSameAddressIsNotFound) {
  Grant(Local({"web.test"}, {server_.port_text()}));
  const uint16_t port = server_.port();
  EXPECT_EQ(Run([=](Faults& faults) {
              sockaddr_in address = {};
              faults.Expect(ConnectTo(NewSocket(), AddressOf("127.0.0.1", port)) == -kEnotcapable,
                            "the address, before its name was asked for");
              faults.Expect(FindAddress("rebind.test", port, address) != 0, "another name");
              faults.Expect(ConnectTo(NewSocket(), AddressOf("127.0.0.1", port)) == -kEnotcapable,
                            "the address, after another name");
              faults.Expect(FindAddress("web.test", port, address) == 0, "the name");
              faults.Expect(ConnectTo(NewSocket(), address) == 0, "its address");
            }),
            "");
}

TEST_F(ConnectionEscapeTest, NoServerAndNoOtherSocketIsMade) {
  const uint16_t port = server_.port();
  EXPECT_EQ(
      Run([=](Faults& faults) {
        const int connected = NewSocket();
        faults.Expect(ConnectTo(connected, AddressOf("127.0.0.1", port)) == 0, "connect");
        for (const int socket : {connected, NewSocket()}) {
          sockaddr_in any = AddressOf("0.0.0.0", 0);
          faults.ExpectErrno(bind(socket, reinterpret_cast<sockaddr*>(&any), sizeof any),
                             socket == connected ? EINVAL : kEnotcapable, "bind");
          faults.ExpectErrno(listen(socket, 1), socket == connected ? EINVAL : kEcapmode, "listen");
          faults.ExpectErrno(accept(socket, nullptr, nullptr), kEcapmode, "accept");
        }
        for (int family = 0; family < 64; ++family) {
          for (const int type : {SOCK_STREAM, SOCK_DGRAM, SOCK_RAW, SOCK_RDM, SOCK_SEQPACKET}) {
            for (const int protocol : {0, 1, 6, 17, 132, 255, 262}) {
              const bool placeholder =
                  type == SOCK_STREAM && (((family == AF_INET || family == AF_INET6) &&
                                           (protocol == 0 || protocol == 6)) ||
                                          (family == AF_UNIX && protocol == 0));
              const int made = socket(family, type, protocol);
              faults.Expect((made >= 0) == placeholder,
                            absl::StrCat("socket ", family, " ", type, " ", protocol));
              close(made);
            }
          }
        }
      }),
      "");
}

// Of all options those that the table names, on the placeholder as on the connection.
TEST_F(ConnectionEscapeTest, FewOptionsCanBeSet) {
  const uint16_t port = server_.port();
  EXPECT_EQ(
      Run([=](Faults& faults) {
        const std::set<std::pair<int, int>> settable = {
            {SOL_SOCKET, SO_KEEPALIVE},  {SOL_SOCKET, SO_RCVLOWAT},    {SOL_SOCKET, SO_RCVTIMEO},
            {SOL_SOCKET, SO_SNDTIMEO},   {IPPROTO_TCP, TCP_NODELAY},   {IPPROTO_TCP, TCP_QUICKACK},
            {IPPROTO_TCP, TCP_KEEPIDLE}, {IPPROTO_TCP, TCP_KEEPINTVL}, {IPPROTO_TCP, TCP_KEEPCNT},
            {SOL_SOCKET, SO_REUSEADDR},  {SOL_SOCKET, SO_REUSEPORT},   {IPPROTO_IPV6, IPV6_V6ONLY}};
        const int connected = NewSocket();
        faults.Expect(ConnectTo(connected, AddressOf("127.0.0.1", port)) == 0, "connect");
        for (const int socket : {connected, NewSocket()}) {
          for (const int level : {0, 1, 6, 17, 41, 58, 132, 255, 263, 282, 284}) {
            for (int option = 0; option < 256; ++option) {
              char value[256] = {1};
              const bool set = setsockopt(socket, level, option, value, sizeof value) == 0;
              if (settable.count({level, option}) != 0) continue;
              faults.Expect(!set && errno == ENOPROTOOPT,
                            absl::StrCat("level ", level, " option ", option));
            }
          }
        }
      }),
      "");
}

// Numbers that mean something else from moment to moment, of a socket that connects.
TEST_F(ConnectionEscapeTest, NumbersThatMoveLeadNowhereElse) {
  const LocalServer forbidden("127.0.0.2", server_.port());
  const uint16_t port = server_.port();
  EXPECT_EQ(Run([=](Faults& faults) {
              constexpr int kNumber = 40;
              int ends[2];
              faults.ExpectErrno(pipe(ends), 0, "pipe");
              faults.Expect(dup2(NewSocket(), kNumber) == kNumber, "place");
              std::atomic<bool> done{false};
              std::thread moving([&] {
                while (!done) {
                  const int socket = NewSocket();
                  dup2(socket, kNumber);
                  close(socket);
                  dup2(ends[0], kNumber);
                }
              });
              std::thread elsewhere([&] {
                while (!done) ConnectTo(kNumber, AddressOf("127.0.0.2", port));
              });
              const std::set<int> expected = {0, -ENOTSOCK, -EISCONN, -EBADF, -ENOBUFS, -EALREADY};
              for (int i = 0; i < 300; ++i) {
                const int error = ConnectTo(kNumber, AddressOf("127.0.0.1", port));
                faults.Expect(expected.count(error) != 0, absl::StrCat("connect: ", error));
              }
              done = true;
              moving.join();
              elsewhere.join();
              faults.Expect(write(ends[1], "x", 1) == 1, "the pipe is whole");
            }),
            "");
  EXPECT_FALSE(forbidden.HasConnection());
}

// The supervisor takes none of the descriptors that are sent to it.
TEST_F(ConnectionEscapeTest, DescriptorsSentToTheNameServiceAreClosed) {
  EXPECT_EQ(Run([](Faults& faults) {
              int pair[2];
              faults.ExpectErrno(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0, "pair");
              const int names = NewSocket(AF_UNIX);
              sockaddr_un name = {};
              name.sun_family = AF_UNIX;
              std::strcpy(name.sun_path, "/var/run/nscd/socket");
              faults.ExpectErrno(connect(names, reinterpret_cast<sockaddr*>(&name), sizeof name), 0,
                                 "connect");
              const char bytes[12] = {};  // of no version: it ends the conversation
              faults.Expect(SendDescriptorPacket(FdRef::FromRaw(names), bytes, sizeof bytes,
                                                 {FdRef::FromRaw(pair[1])}),
                            "send");
              close(pair[1]);
              char byte;
              faults.Expect(recv(names, &byte, 1, 0) == 0, "the conversation ends");
              faults.Expect(recv(pair[0], &byte, 1, 0) == 0, "nobody has the other end");
            }),
            "");
}

}  // namespace
}  // namespace capbroker::testing
