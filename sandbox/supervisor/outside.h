// What a supervisor asks for that is outside of the worker's namespaces: connections, servers, and
// the addresses of names.
//
// The supervisor is in the worker's network namespace, where there is nobody to reach. So
// somebody outside makes the sockets: a service process, behind the channels that the start hands
// over. How it is spoken to is not for this folder to know, hence an interface; the limits of
// those channels are what the worker was granted. What it gives is used as it is, and what it
// refuses is refused.
//
// Lives in: the supervisor. One thread.
#ifndef SANDBOX_SUPERVISOR_OUTSIDE_H_
#define SANDBOX_SUPERVISOR_OUTSIDE_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/unique_fd.h"

namespace capbroker::sandbox {

class Outside {
 public:
  // A TCP socket with O_NONBLOCK, connected, or on its way (EINPROGRESS); or an errno, which is
  // ENOTCAPABLE where it was not granted.
  struct Connection {
    UniqueFd socket;
    int error_number = 0;
  };
  // Where a worker wants to be a server. `address` has 4 or 16 bytes.
  struct ServerName {
    std::string address;
    uint16_t port = 0;         // 0: one that the system chooses
    bool shares_port = false;  // SO_REUSEPORT
    bool v6_only = false;      // IPV6_V6ONLY
  };
  // A TCP socket with O_NONBLOCK that listens; or an errno, as above.
  struct Server {
    UniqueFd socket;
    int error_number = 0;
  };
  // Of a name that was not granted: ENOTCAPABLE; without addresses: ENOENT; that nobody could tell
  // about: EAGAIN.
  struct Host {
    int error_number = 0;
    std::vector<std::string> addresses;  // 4 or 16 bytes each
    std::string canonical_name;
  };

  virtual ~Outside() = default;

  // Does not wait for the peer. `address` has 4 or 16 bytes.
  virtual Connection StartConnecting(const std::string& address, uint16_t port) = 0;
  virtual Server StartListening(const ServerName& name) = 0;
  // Waits for name servers, less than the C library waits for its answer.
  virtual Host Find(const std::string& name) = 0;
};

// A host that a worker has named ("example.org", "192.0.2.1:443"), and what it was told.
struct NamedHost {
  std::string name;
  int error_number = 0;
  bool is_server = false;  // the worker wanted to listen there; "*:443" is everywhere
};

// Channels of one worker.
inline constexpr size_t kMostOutsideChannels = 8;

struct OutsideChannels {
  std::vector<UniqueFd> connectors;
  std::vector<UniqueFd> listeners;

  size_t size() const { return connectors.size() + listeners.size(); }
  bool empty() const { return size() == 0; }
};

// Called in the supervisor, before its table is installed.
using MakeOutside = std::unique_ptr<Outside> (*)(OutsideChannels channels);

// What the program was linked with, or null. Registered before main, by whoever implements it.
void RegisterOutside(MakeOutside make);
MakeOutside RegisteredOutside();

}  // namespace capbroker::sandbox

#endif  // SANDBOX_SUPERVISOR_OUTSIDE_H_
