// Servers of an attacker's own, as far as it gets.
//
// Lives in: workers.
#ifndef TESTS_HOSTILE_WORKER_SERVER_H_
#define TESTS_HOSTILE_WORKER_SERVER_H_

#include <netinet/in.h>

#include <cstdint>

namespace capbroker::hostile {

// `address` in host order.
sockaddr_in NameOf(uint32_t address, int port);
// A TCP socket that is bound there; -1 with errno.
int BoundTo(uint32_t address, int port);

}  // namespace capbroker::hostile

#endif  // TESTS_HOSTILE_WORKER_SERVER_H_
