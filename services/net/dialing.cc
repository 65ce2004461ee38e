#include "services/net/dialing.h"

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "absl/time/clock.h"

namespace capbroker::net {
namespace {

using hosts::IpAddress;
using hosts::SocketAddress;

constexpr absl::Duration kHeadStart = absl::Milliseconds(250);
// How soon it is seen that the caller has given up.
constexpr absl::Duration kLook = absl::Milliseconds(100);

int PendingError(FdRef socket) {
  int error = 0;
  socklen_t size = sizeof error;
  return getsockopt(socket.get(), SOL_SOCKET, SO_ERROR, &error, &size) == 0 ? error : errno;
}

struct Attempt {
  UniqueFd socket;
  size_t index;
};

// Waits until one of them is connected or has failed, at most until `end`.
void Wait(const std::vector<Attempt>& attempts, absl::Time end, std::vector<pollfd>& polled) {
  polled.clear();
  for (const Attempt& attempt : attempts) {
    polled.push_back({.fd = attempt.socket.get(), .events = POLLOUT, .revents = 0});
  }
  const absl::Duration left = std::clamp(end - absl::Now(), absl::ZeroDuration(), kLook);
  if (poll(polled.data(), polled.size(), static_cast<int>(absl::ToInt64Milliseconds(left)) + 1) <
      0) {
    for (pollfd& each : polled) each.revents = 0;
  }
}

}  // namespace

Dialed StartDialing(const IpAddress& address, uint16_t port) {
  const SocketAddress peer = address.WithPort(port);
  UniqueFd socket(
      ::socket(peer.get()->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_TCP));
  if (!socket.valid()) return {.socket = UniqueFd(), .error_number = errno};
  if (connect(socket.get(), peer.get(), peer.length) == 0) return {.socket = std::move(socket)};
  if (errno != EINPROGRESS) return {.socket = UniqueFd(), .error_number = errno};
  // On this machine, it is known already.
  pollfd now = {.fd = socket.get(), .events = POLLOUT, .revents = 0};
  if (poll(&now, 1, 0) <= 0) return {.socket = std::move(socket), .error_number = EINPROGRESS};
  if (const int error = PendingError(socket); error != 0) {
    return {.socket = UniqueFd(), .error_number = error};
  }
  return {.socket = std::move(socket)};
}

Dialed Dial(const IpAddress& address, uint16_t port, absl::Time until, const GivenUp& given_up) {
  return DialFirst({address}, port, until, given_up).dialed;
}

FirstDialed DialFirst(const std::vector<IpAddress>& addresses, uint16_t port, absl::Time until,
                      const GivenUp& given_up) {
  std::vector<Attempt> attempts;
  std::vector<pollfd> polled;
  FirstDialed failed = {.dialed = {.socket = UniqueFd(), .error_number = ETIMEDOUT}};
  const auto fail = [&failed](size_t index, int error) {
    if (index == 0) failed.dialed.error_number = error;
  };
  size_t next = 0;
  absl::Time next_start = absl::InfinitePast();
  while (next < addresses.size() || !attempts.empty()) {
    const absl::Time now = absl::Now();
    if (given_up()) return {.dialed = {.socket = UniqueFd(), .error_number = ECANCELED}};
    if (now >= until) break;
    if (next < addresses.size() && (attempts.empty() || now >= next_start)) {
      const size_t index = next++;
      Dialed started = StartDialing(addresses[index], port);
      if (started.error_number == 0) return {.dialed = std::move(started), .index = index};
      if (started.error_number == EINPROGRESS) {
        attempts.push_back({.socket = std::move(started.socket), .index = index});
        next_start = now + kHeadStart;
      } else {
        fail(index, started.error_number);
      }
      continue;
    }
    Wait(attempts, std::min(until, next < addresses.size() ? next_start : until), polled);
    for (size_t i = attempts.size(); i-- > 0;) {
      if (polled[i].revents == 0) continue;
      const int error = PendingError(attempts[i].socket);
      if (error == 0) {
        return {.dialed = {.socket = std::move(attempts[i].socket)}, .index = attempts[i].index};
      }
      fail(attempts[i].index, error);
      attempts.erase(attempts.begin() + static_cast<ptrdiff_t>(i));
      next_start = absl::InfinitePast();
    }
  }
  return failed;
}

}  // namespace capbroker::net
