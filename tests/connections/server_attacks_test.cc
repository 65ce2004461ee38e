// What a hostile worker tries with its one server.
#include <fcntl.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

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
using sandbox::Faults;
using sandbox::kEcapmode;
using sandbox::kEnotcapable;
using sandbox::kTether;

class ServerAttacksTest : public ConnectedTest {
 protected:
  ServerAttacksTest() {
    Grant(Local({"127.0.0.1"}, {server_.port_text()}));
    GrantServers({"127.0.0.1"}, {std::to_string(port_)});
  }

  const uint16_t port_ = LocalServer().port();
};

// INVARIANT(decided-on-a-copy)
TEST_F(ServerAttacksTest, CannotChangeTheAddressUnderTheCall) {
  const uint16_t port = port_;
  EXPECT_EQ(Run([=](Faults& faults) {
              const in_addr_t good = htonl(INADDR_LOOPBACK), bad = htonl(INADDR_ANY);
              RaceAddresses(faults, good, bad, port, [&](const sockaddr_in& address) {
                const int socket = NewSocket();
                const int error = BindTo(socket, address);
                sockaddr_in name = {};
                socklen_t size = sizeof name;
                getsockname(socket, reinterpret_cast<sockaddr*>(&name), &size);
                faults.Expect(error != 0 || name.sin_addr.s_addr == good, "another address");
                close(socket);
                return error;
              });
            }),
            "");
}

// Neither what listens nor what it has accepted reaches anybody else.
TEST_F(ServerAttacksTest, CannotPointAServerOrItsConnectionsElsewhere) {
  const LocalServer forbidden("127.0.0.2", server_.port());
  const uint16_t port = port_, granted = server_.port();
  auto worker = StartWorker([=](Faults& faults) {
    const int server = NewSocket();
    faults.Expect(BindTo(server, AddressOf("127.0.0.1", port)) == 0, "bind");
    faults.ExpectErrno(listen(server, 1), 0, "listen");
    faults.Expect(write(kTether, "go", 2) == 2, "tell");
    const int accepted = accept(server, nullptr, nullptr);
    faults.Expect(accepted >= 0, "accept");
    sockaddr_in bad = AddressOf("127.0.0.2", granted);
    auto* const name = reinterpret_cast<sockaddr*>(&bad);
    for (const bool ended : {false, true}) {
      for (const int socket : {server, accepted}) {
        if (ended) shutdown(socket, SHUT_RDWR);
        const std::string which = absl::StrCat(socket == server ? "server" : "accepted", ended);
        const int error = ConnectTo(socket, bad);
        faults.Expect(error == -kEcapmode || error == -EISCONN || (ended && error < 0),
                      absl::StrCat(which, " connects: ", error));
        sockaddr nowhere = {};
        nowhere.sa_family = AF_UNSPEC;
        faults.ExpectErrno(connect(socket, &nowhere, sizeof nowhere), kEcapmode, "disconnect");
        faults.ExpectErrno(sendto(socket, "x", 1, MSG_NOSIGNAL | MSG_FASTOPEN, name, sizeof bad),
                           EACCES, "fast");
        char byte = 'x';
        iovec content = {&byte, 1};
        msghdr message = {};
        message.msg_name = name;
        message.msg_namelen = sizeof bad;
        message.msg_iov = &content;
        message.msg_iovlen = 1;
        faults.ExpectErrno(sendmsg(socket, &message, MSG_NOSIGNAL | MSG_FASTOPEN), EINVAL, "fast");
        (void)!sendmsg(socket, &message, MSG_NOSIGNAL);  // to its peer, or nobody
        const int on = 1;
        for (const auto& [level, option] :
             {std::pair(int{IPPROTO_TCP}, TCP_FASTOPEN), std::pair(int{IPPROTO_TCP}, TCP_REPAIR),
              std::pair(int{IPPROTO_TCP}, TCP_FASTOPEN_CONNECT), std::pair(0, 15 /* FREEBIND */),
              std::pair(0, 19 /* TRANSPARENT */), std::pair(SOL_SOCKET, SO_BINDTODEVICE),
              std::pair(SOL_SOCKET, SO_MARK), std::pair(SOL_SOCKET, SO_ATTACH_FILTER)}) {
          faults.ExpectErrno(setsockopt(socket, level, option, &on, sizeof on), ENOPROTOOPT,
                             absl::StrCat(which, " option ", option));
        }
      }
    }
    faults.ExpectErrno(listen(server, 1), EINVAL, "listens again");
  });
  EXPECT_EQ(Receive(worker.tether, 2), "go");
  const UniqueFd client = ConnectedTo("127.0.0.1", port_);
  EXPECT_EQ(FaultsOf(std::move(worker)), "");
  EXPECT_FALSE(forbidden.HasConnection());
}

TEST_F(ServerAttacksTest, CannotConnectFromABoundSocketAndNotBindTwice) {
  const uint16_t port = port_, granted = server_.port();
  EXPECT_EQ(
      Run([=](Faults& faults) {
        const int server = NewSocket(), connected = NewSocket();
        faults.Expect(ConnectTo(connected, AddressOf("127.0.0.1", granted)) == 0, "connect");
        faults.Expect(BindTo(server, AddressOf("127.0.0.1", port)) == 0, "bind");
        // Also to what is granted: it would come from the server's port.
        faults.Expect(ConnectTo(server, AddressOf("127.0.0.1", granted)) == -kEcapmode, "connect");
        for (const int socket : {server, connected}) {
          faults.Expect(BindTo(socket, AddressOf("127.0.0.1", port)) == -EINVAL, "bind twice");
        }
        faults.ExpectErrno(listen(connected, 1), EINVAL, "listen");
        const int accepting = accept4(NewSocket(), nullptr, nullptr, SOCK_NONBLOCK);
        faults.Expect(accepting == -1 && errno == EINVAL, "a placeholder accepts nobody");
        // The system would choose a port.
        faults.ExpectErrno(listen(NewSocket(), 1), kEcapmode, "listen without a name");
      }),
      "");
}

TEST_F(ServerAttacksTest, CannotBindAMalformedAddressOrAnotherSocket) {
  const uint16_t port = port_;
  EXPECT_EQ(
      Run([=](Faults& faults) {
        sockaddr_storage address = {};
        const sockaddr_in good = AddressOf("127.0.0.1", port);
        std::memcpy(&address, &good, sizeof good);
        auto* const name = reinterpret_cast<sockaddr*>(&address);
        const auto attempt = [&](socklen_t size, int error) {
          faults.ExpectErrno(bind(NewSocket(), name, size), error, absl::StrCat(size, " bytes"));
        };
        for (const socklen_t size :
             {socklen_t{0}, socklen_t{1}, socklen_t{2}, socklen_t{sizeof good - 1},
              socklen_t{sizeof address + 1}, socklen_t{0x80000000u}}) {
          attempt(size, EINVAL);
        }
        faults.ExpectErrno(bind(NewSocket(), nullptr, sizeof good), EFAULT, "no address");
        faults.ExpectErrno(bind(999, name, sizeof good), EBADF, "no descriptor");
        faults.ExpectErrno(bind(0, name, sizeof good), ENOTSOCK, "no socket");
        faults.ExpectErrno(listen(999, 1), EBADF, "no descriptor");
        faults.ExpectErrno(listen(0, 1), ENOTSOCK, "no socket");
        for (const int family : {int{AF_UNSPEC}, int{AF_INET6}, int{AF_UNIX}, 200}) {
          address.ss_family = static_cast<sa_family_t>(family);
          attempt(sizeof(sockaddr_in6), EAFNOSUPPORT);
        }
        sockaddr_un local = {};
        local.sun_family = AF_UNIX;
        std::strcpy(local.sun_path + 1, "abstract");
        const int unix_socket = socket(AF_UNIX, SOCK_STREAM, 0);
        faults.ExpectErrno(bind(unix_socket, reinterpret_cast<sockaddr*>(&local), sizeof local),
                           kEcapmode, "a local name");
        faults.ExpectErrno(listen(unix_socket, 1), kEcapmode, "a local server");
      }),
      "");
}

TEST_F(ServerAttacksTest, CannotHideAnAddressInAMappedOne) {
  const uint16_t port = port_;
  EXPECT_EQ(Run([=](Faults& faults) {
              sockaddr_in6 mapped = {};
              mapped.sin6_family = AF_INET6;
              mapped.sin6_port = htons(port);
              mapped.sin6_addr.s6_addr[10] = mapped.sin6_addr.s6_addr[11] = 0xff;
              const auto attempt = [&](int error, const char* what) {
                const int socket = ::socket(AF_INET6, SOCK_STREAM, 0);
                faults.ExpectErrno(
                    bind(socket, reinterpret_cast<sockaddr*>(&mapped), sizeof mapped), error, what);
              };
              attempt(kEnotcapable, "::ffff:0.0.0.0");
              mapped.sin6_addr.s6_addr[12] = 127;
              mapped.sin6_addr.s6_addr[15] = 2;
              attempt(kEnotcapable, "::ffff:127.0.0.2");
              mapped.sin6_addr.s6_addr[15] = 1;
              attempt(0, "::ffff:127.0.0.1");
              mapped.sin6_addr = in6addr_any;
              attempt(kEnotcapable, "::");
            }),
            "");
}

TEST_F(ServerAttacksTest, AFloodOfServersRunsOutOfItsLeases) {
  GrantServers({"127.0.0.1"}, {"0"});
  EXPECT_EQ(Run([=](Faults& faults) {
              const sockaddr_in address = AddressOf("127.0.0.1", 0);
              ExpectLeasesRunOut(faults, 16, [&](int socket) { return BindTo(socket, address); });
            }),
            "");
}

}  // namespace
}  // namespace capbroker::testing
