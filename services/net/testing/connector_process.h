// A Connector in a process of its own, and the hosts that it knows: for tests that start workers,
// and so cannot have threads.
//
// Lives in: test programs.
#ifndef SERVICES_NET_TESTING_CONNECTOR_PROCESS_H_
#define SERVICES_NET_TESTING_CONNECTOR_PROCESS_H_

#include <sys/types.h>

#include <memory>
#include <string>
#include <vector>

#include "base/unique_fd.h"
#include "capbroker/net/v1/connector.pb.h"
#include "services/hosts/host_database.h"
#include "services/hosts/testing/dns_server.h"

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

class ConnectorProcess {
 public:
  // Forks. `hosts` outlives it.
  ConnectorProcess(const TestHosts& hosts, const v1::ConnectorLimits& limits);
  ~ConnectorProcess();
  ConnectorProcess(const ConnectorProcess&) = delete;
  ConnectorProcess& operator=(const ConnectorProcess&) = delete;

  // The client end of its channel; once.
  UniqueFd TakeLane() { return std::move(lane_); }
  // Of the channel. Returns when it is done.
  void Revoke();

 private:
  pid_t process_ = -1;
  UniqueFd control_;
  UniqueFd lane_;
};

}  // namespace capbroker::net

#endif  // SERVICES_NET_TESTING_CONNECTOR_PROCESS_H_
