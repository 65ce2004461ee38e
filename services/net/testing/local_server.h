// A TCP server on this machine. Lives in: test programs.
#ifndef SERVICES_NET_TESTING_LOCAL_SERVER_H_
#define SERVICES_NET_TESTING_LOCAL_SERVER_H_

#include <cstdint>
#include <string>

#include "base/unique_fd.h"

namespace capbroker::net {

class LocalServer {
 public:
  // Of one address, and any port if it is 0. Dies if it cannot be had.
  explicit LocalServer(const std::string& address = "127.0.0.1", uint16_t port = 0);

  FdRef socket() const { return socket_; }
  uint16_t port() const { return port_; }
  std::string port_text() const { return std::to_string(port_); }
  // Waits for the next connection.
  UniqueFd Accept() const;
  // Whether one is waiting.
  bool HasConnection() const;
  // From now on, who connects hears nothing.
  void FallSilent();
  // Who has waited is heard when it tries again, in a second or three.
  void SpeakAgain();

 private:
  UniqueFd socket_;
  UniqueFd filling_;
  uint16_t port_ = 0;
};

// Connected to a server of this machine; invalid: errno says why.
UniqueFd ConnectedTo(const std::string& address, uint16_t port);

// Exactly so many bytes, or what came before the end.
std::string Receive(FdRef socket, size_t bytes);
bool Send(FdRef socket, const std::string& bytes);

}  // namespace capbroker::net

#endif  // SERVICES_NET_TESTING_LOCAL_SERVER_H_
