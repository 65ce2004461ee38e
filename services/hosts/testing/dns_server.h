// A real DNS server for tests: dnsmasq, on a port of 127.0.0.1, with the records
// that the test says. Killed with the test.
//
//   auto server = DnsServer::Start({"host-record=a.test,192.0.2.1,300"});
//   WriteFile(path, (*server)->ResolvConf());
//
// Lives in: test programs.
#ifndef SERVICES_HOSTS_TESTING_DNS_SERVER_H_
#define SERVICES_HOSTS_TESTING_DNS_SERVER_H_

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace capbroker::hosts {

class DnsServer {
 public:
  // `config`: lines of dnsmasq's configuration file. The domain "test" and reverse
  // zones are the server's own: what has no record there does not exist. Other
  // names are refused, unless a line says `server=/...`.
  static absl::StatusOr<std::unique_ptr<DnsServer>> Start(const std::vector<std::string>& config);

  ~DnsServer();
  DnsServer(const DnsServer&) = delete;
  DnsServer& operator=(const DnsServer&) = delete;

  uint16_t port() const { return port_; }
  // A "nameserver" line, which Resolver understands and other resolvers do not.
  std::string ResolvConf() const;
  // What was asked for so far: "A a.test", "PTR 1.2.0.192.in-addr.arpa".
  std::vector<std::string> Queries() const;

 private:
  DnsServer() = default;

  std::string folder_;
  pid_t process_ = -1;
  uint16_t port_ = 0;
};

}  // namespace capbroker::hosts

#endif  // SERVICES_HOSTS_TESTING_DNS_SERVER_H_
