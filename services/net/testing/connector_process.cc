#include "services/net/testing/connector_process.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <utility>

#include "capbroker/net/v1/connector.dispatch.h"
#include "services/net/connector_service.h"

namespace capbroker::net {
namespace {

void Require(bool holds) {
  if (!holds) std::abort();
}

}  // namespace

TestHosts::TestHosts(const std::vector<std::string>& records) {
  const char* const parent = getenv("TEST_TMPDIR");
  folder_ = std::string(parent == nullptr ? "/tmp" : parent) + "/hosts.XXXXXX";
  Require(mkdtemp(folder_.data()) != nullptr);
  std::ofstream(folder_ + "/hosts") << "127.0.0.1 internal.test\n";
  std::ofstream(folder_ + "/nsswitch.conf") << "hosts: files dns\n";
  auto server = hosts::DnsServer::Start(records);
  Require(server.ok());
  dns_ = *std::move(server);
  std::ofstream(folder_ + "/resolv.conf") << dns_->ResolvConf();
}

TestHosts::~TestHosts() {
  std::error_code ignored;
  std::filesystem::remove_all(folder_, ignored);
}

hosts::HostDatabaseOptions TestHosts::Options() const {
  hosts::HostDatabaseOptions options;
  options.hosts_path = folder_ + "/hosts";
  options.nsswitch_path = folder_ + "/nsswitch.conf";
  options.resolv_conf_path = folder_ + "/resolv.conf";
  return options;
}

ConnectorProcess::ConnectorProcess(const TestHosts& hosts, const v1::ConnectorLimits& limits)
    : ServedProcess(
          [&hosts] {
            return v1::CapbrokerMakeDispatch(std::make_unique<ConnectorService>(hosts.Options()));
          },
          limits) {}

}  // namespace capbroker::net
