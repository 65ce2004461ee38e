// The table of system calls of a service process.
//
// A service process runs our own code and reads what strangers send, so its table is made
// for the day on which these bytes have taken it over: what the service does not need does
// not happen. As in a worker's table (worker_policy.h), what names something and is not needed
// fails softly, because libraries probe; what nobody tries innocently has no row, and dies.
//
// What no filter sees, Landlock has to hold: which path, which port. What neither sees:
// the address of a datagram, and the path of a local socket.
//
// Runs in: the zygote, and tests.
#ifndef SANDBOX_POLICIES_SERVICE_POLICY_H_
#define SANDBOX_POLICIES_SERVICE_POLICY_H_

#include <string>
#include <vector>

#include "sandbox/table/policy.h"

namespace capbroker::sandbox {

struct ServiceTable {
  // Opens files by name for reading, and lists directories.
  bool reads_files = false;
  // And for writing; makes and removes regular files. Walks by openat2.
  bool serves_files = false;
  // Sockets of IPv4 and IPv6 that connect by TCP.
  bool tcp = false;
  // Those that listen, and accept nobody.
  bool tcp_servers = false;
  // Those that send datagrams.
  bool udp = false;
  // AF_UNIX sockets that connect.
  bool local_sockets = false;
  // Asks the kernel for addresses and routes of this host.
  bool routes = false;
  // Allowed whatever their arguments, instead of what is said of them otherwise.
  std::vector<std::string> more_calls = {};
};

Policy ServicePolicy(const ServiceTable& table);

}  // namespace capbroker::sandbox

#endif  // SANDBOX_POLICIES_SERVICE_POLICY_H_
