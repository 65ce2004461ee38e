// TCP connections, made without blocking longer than asked.
//
// Lives in: the service process. Thread-safe: functions without state.
#ifndef SERVICES_NET_DIALING_H_
#define SERVICES_NET_DIALING_H_

#include <cstdint>
#include <functional>
#include <vector>

#include "absl/time/time.h"
#include "base/unique_fd.h"
#include "services/hosts/ip_address.h"

namespace capbroker::net {

// A connection, one on its way, or the reason for none.
struct Dialed {
  UniqueFd socket;       // O_NONBLOCK
  int error_number = 0;  // EINPROGRESS with a socket that is not connected yet
};

// Says whether the caller has stopped waiting.
using GivenUp = std::function<bool()>;

// Starts to connect, and does not wait.
Dialed StartDialing(const hosts::IpAddress& address, uint16_t port);

// The same, and waits. ETIMEDOUT after `until`, ECANCELED when it was given up.
Dialed Dial(const hosts::IpAddress& address, uint16_t port, absl::Time until,
            const GivenUp& given_up);

// Connects to the first of `addresses` that answers: each gets a quarter of a second before the
// next is tried beside it (RFC 8305). The error is that of the first address.
struct FirstDialed {
  Dialed dialed;
  size_t index = 0;  // of the address
};
FirstDialed DialFirst(const std::vector<hosts::IpAddress>& addresses, uint16_t port,
                      absl::Time until, const GivenUp& given_up);

}  // namespace capbroker::net

#endif  // SERVICES_NET_DIALING_H_
