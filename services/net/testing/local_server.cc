#include "services/net/testing/local_server.h"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>

#include "services/hosts/ip_address.h"

namespace capbroker::net {
namespace {

using hosts::IpAddress;
using hosts::SocketAddress;

constexpr int kPatience = 20'000;  // milliseconds
constexpr int kPlaces = 1024;

}  // namespace

LocalServer::LocalServer(const std::string& address, uint16_t port) {
  const SocketAddress wanted = IpAddress::Parse(address)->WithPort(port);
  socket_.Reset(::socket(wanted.get()->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int on = 1;
  setsockopt(socket_.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  SocketAddress bound;
  bound.length = sizeof bound.storage;
  if (bind(socket_.get(), wanted.get(), wanted.length) != 0 ||
      listen(socket_.get(), kPlaces) != 0 ||
      getsockname(socket_.get(), reinterpret_cast<sockaddr*>(&bound.storage), &bound.length) != 0) {
    std::abort();
  }
  const auto* bytes = reinterpret_cast<const uint8_t*>(&bound.storage);
  port_ = static_cast<uint16_t>(bytes[2] << 8 | bytes[3]);  // at the same place in both families
}

UniqueFd LocalServer::Accept() const {
  pollfd polled = {.fd = socket_.get(), .events = POLLIN, .revents = 0};
  if (poll(&polled, 1, kPatience) <= 0) return UniqueFd();
  return UniqueFd(accept4(socket_.get(), nullptr, nullptr, SOCK_CLOEXEC));
}

bool LocalServer::HasConnection() const {
  pollfd polled = {.fd = socket_.get(), .events = POLLIN, .revents = 0};
  return poll(&polled, 1, 0) > 0;
}

void LocalServer::FallSilent() {
  // The queue has one place, and it is taken: the kernel drops what comes.
  listen(socket_.get(), 0);
  SocketAddress here;
  here.length = sizeof here.storage;
  getsockname(socket_.get(), reinterpret_cast<sockaddr*>(&here.storage), &here.length);
  filling_.Reset(::socket(here.get()->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (connect(filling_.get(), here.get(), here.length) != 0) std::abort();
}

void LocalServer::SpeakAgain() {
  listen(socket_.get(), kPlaces);
  filling_.Reset();
  Accept();
}

UniqueFd ConnectedTo(const std::string& address, uint16_t port) {
  const SocketAddress name = IpAddress::Parse(address)->WithPort(port);
  UniqueFd socket(::socket(name.get()->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (connect(socket.get(), name.get(), name.length) == 0) return socket;
  const int error = errno;
  socket.Reset();
  errno = error;
  return socket;
}

std::string Receive(FdRef socket, size_t bytes) {
  std::string received;
  while (received.size() < bytes) {
    pollfd polled = {.fd = socket.get(), .events = POLLIN, .revents = 0};
    char buffer[4096];
    if (poll(&polled, 1, kPatience) <= 0) return received + "(nothing)";
    const ssize_t size =
        recv(socket.get(), buffer, std::min(sizeof buffer, bytes - received.size()), 0);
    if (size < 0) return received + "(error)";
    if (size == 0) break;
    received.append(buffer, static_cast<size_t>(size));
  }
  return received;
}

bool Send(FdRef socket, const std::string& bytes) {
  return send(socket.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL) ==
         static_cast<ssize_t>(bytes.size());
}

}  // namespace capbroker::net
