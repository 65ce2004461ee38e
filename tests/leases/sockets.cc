#include "tests/leases/sockets.h"

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <cerrno>

namespace capbroker::testing {
namespace {

sockaddr_in Loopback(uint16_t port) {
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  return address;
}

}  // namespace

Listener::Listener() : socket_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  sockaddr_in address = Loopback(0);
  socklen_t size = sizeof address;
  if (bind(socket_.get(), reinterpret_cast<sockaddr*>(&address), size) == 0 &&
      listen(socket_.get(), 128) == 0 &&
      getsockname(socket_.get(), reinterpret_cast<sockaddr*>(&address), &size) == 0) {
    port_ = ntohs(address.sin_port);
  }
}

UniqueFd Listener::Accept() const {
  return UniqueFd(accept4(socket_.get(), nullptr, nullptr, SOCK_CLOEXEC));
}

UniqueFd ConnectTo(uint16_t port) {
  UniqueFd connection(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const sockaddr_in address = Loopback(port);
  if (connect(connection.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    connection.Reset();
  }
  return connection;
}

std::pair<UniqueFd, UniqueFd> MakeSocketPair(int type) {
  int ends[2] = {-1, -1};
  (void)socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, ends);
  return {UniqueFd(ends[0]), UniqueFd(ends[1])};
}

std::string Receive(FdRef socket, size_t bytes) {
  std::string received;
  while (received.size() < bytes) {
    pollfd polled = {socket.get(), POLLIN, 0};
    if (poll(&polled, 1, 10'000) != 1) return "(nothing)";
    char buffer[256];
    const ssize_t got = recv(socket.get(), buffer, sizeof buffer, 0);
    if (got < 0) return "(error)";
    if (got == 0) break;
    received.append(buffer, static_cast<size_t>(got));
  }
  return received;
}

int Send(FdRef socket, const std::string& bytes) {
  const ssize_t sent = send(socket.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
  return sent == static_cast<ssize_t>(bytes.size()) ? 0 : errno;
}

}  // namespace capbroker::testing
