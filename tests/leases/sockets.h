// TCP on this machine, in one line each.
//
// Lives in: tests, and their service processes and workers.
#ifndef TESTS_LEASES_SOCKETS_H_
#define TESTS_LEASES_SOCKETS_H_

#include <cstdint>
#include <string>
#include <utility>

#include "base/unique_fd.h"

namespace capbroker::testing {

class Listener {
 public:
  Listener();
  uint16_t port() const { return port_; }
  // Waits for the next connection.
  UniqueFd Accept() const;

 private:
  UniqueFd socket_;
  uint16_t port_ = 0;
};

// Invalid: it cannot be had.
UniqueFd ConnectTo(uint16_t port);

std::pair<UniqueFd, UniqueFd> MakeSocketPair(int type);

// Waits for so many bytes, or the end, at most ten seconds; "(error)" if reading fails.
std::string Receive(FdRef socket, size_t bytes);
inline bool IsAtItsEnd(FdRef socket) { return Receive(socket, 1).empty(); }
// 0, or errno.
int Send(FdRef socket, const std::string& bytes);

}  // namespace capbroker::testing

#endif  // TESTS_LEASES_SOCKETS_H_
