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

#include "capbroker/net/v1/connector.dispatch.h"
#include "services/net/connector_service.h"
#include "tests/conformance/local_family.h"

namespace capbroker::net {
namespace {

void Require(bool holds) {
  if (!holds) std::abort();
}

void SendLane(FdRef control, FdRef lane) {
  char byte = 0;
  iovec data = {.iov_base = &byte, .iov_len = 1};
  alignas(cmsghdr) char buffer[CMSG_SPACE(sizeof(int))] = {};
  msghdr packet = {};
  packet.msg_iov = &data;
  packet.msg_iovlen = 1;
  packet.msg_control = buffer;
  packet.msg_controllen = sizeof buffer;
  cmsghdr* const header = CMSG_FIRSTHDR(&packet);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof(int));
  const int fd = lane.get();
  std::memcpy(CMSG_DATA(header), &fd, sizeof fd);
  Require(sendmsg(control.get(), &packet, MSG_NOSIGNAL) == 1);
}

UniqueFd ReceiveLane(FdRef control) {
  char byte = 0;
  iovec data = {.iov_base = &byte, .iov_len = 1};
  alignas(cmsghdr) char buffer[CMSG_SPACE(sizeof(int))] = {};
  msghdr packet = {};
  packet.msg_iov = &data;
  packet.msg_iovlen = 1;
  packet.msg_control = buffer;
  packet.msg_controllen = sizeof buffer;
  Require(recvmsg(control.get(), &packet, MSG_CMSG_CLOEXEC) == 1);
  int fd = -1;
  Require(CMSG_FIRSTHDR(&packet) != nullptr);
  std::memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&packet)), sizeof fd);
  return UniqueFd(fd);
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
