// A Connector in a process of its own, and the hosts that it knows.
//
// Lives in: test programs.
#ifndef SERVICES_NET_TESTING_CONNECTOR_PROCESS_H_
#define SERVICES_NET_TESTING_CONNECTOR_PROCESS_H_

#include <memory>
#include <string>
#include <vector>

#include "capbroker/net/v1/connector.pb.h"
#include "services/hosts/host_database.h"
#include "services/hosts/testing/dns_server.h"
#include "services/net/testing/served_process.h"

namespace capbroker::net {

// Files and a name server of the test's own: hosts as dnsmasq's configuration writes them.
class TestHosts {
 public:
  explicit TestHosts(const std::vector<std::string>& records);
  ~TestHosts();
  TestHosts(const TestHosts&) = delete;
  TestHosts& operator=(const TestHosts&) = delete;

  hosts::HostDatabaseOptions Options() const;
  std::vector<std::string> Queries() const { return dns_->Queries(); }

 private:
  std::string folder_;
  std::unique_ptr<hosts::DnsServer> dns_;
};

class ConnectorProcess final : public ServedProcess {
 public:
  // `hosts` outlives it.
  ConnectorProcess(const TestHosts& hosts, const v1::ConnectorLimits& limits);
};

}  // namespace capbroker::net

#endif  // SERVICES_NET_TESTING_CONNECTOR_PROCESS_H_
