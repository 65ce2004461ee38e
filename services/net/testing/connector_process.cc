#include "services/net/testing/connector_process.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <utility>

#include "base/descriptor_packet.h"
#include "capbroker/net/v1/connector.dispatch.h"
#include "services/net/connector_service.h"
#include "tests/conformance/local_family.h"

namespace capbroker::net {
namespace {

void Require(bool holds) {
  if (!holds) std::abort();
}

void SendLane(FdRef control, FdRef lane) { Require(SendDescriptorPacket(control, "", 1, {lane})); }

UniqueFd ReceiveLane(FdRef control) {
  char byte;
  PacketDescriptors descriptors;
  Require(ReceiveDescriptorPacket(control, &byte, 1, descriptors) == 1);
  Require(descriptors[0].valid());
  return std::move(descriptors[0]);
}

[[noreturn]] void Serve(const TestHosts& hosts, const v1::ConnectorLimits& limits, FdRef control) {
  capbroker::testing::LocalFamily family(
      v1::CapbrokerMakeDispatch(std::make_unique<ConnectorService>(hosts.Options())), limits);
  SendLane(control, family.TakeLane());
  char byte;
  while (read(control.get(), &byte, 1) == 1) {
    family.Revoke();
    Require(write(control.get(), "", 1) == 1);
  }
  _exit(0);
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

ConnectorProcess::ConnectorProcess(const TestHosts& hosts, const v1::ConnectorLimits& limits) {
  int ends[2];
  Require(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0);
  control_.Reset(ends[0]);
  process_ = fork();
  Require(process_ >= 0);
  if (process_ == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    close(ends[0]);
    Serve(hosts, limits, FdRef::FromRaw(ends[1]));
  }
  close(ends[1]);
  lane_ = ReceiveLane(control_);
}

ConnectorProcess::~ConnectorProcess() {
  kill(process_, SIGKILL);
  waitpid(process_, nullptr, 0);
}

void ConnectorProcess::Revoke() {
  char byte;
  Require(write(control_.get(), "", 1) == 1 && read(control_.get(), &byte, 1) == 1);
}

}  // namespace capbroker::net
