#include "services/hosts/testing/dns_server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/errno_status.h"
#include "base/status_macros.h"
#include "base/unique_fd.h"

namespace capbroker::hosts {
namespace {

sockaddr_in Loopback(uint16_t port) {
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

// A port that is free for UDP and TCP, at this moment.
absl::StatusOr<uint16_t> FreePort() {
  for (int attempt = 0; attempt < 50; ++attempt) {
    UniqueFd udp(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    sockaddr_in address = Loopback(0);
    socklen_t length = sizeof(address);
    if (bind(udp.get(), reinterpret_cast<sockaddr*>(&address), length) != 0 ||
        getsockname(udp.get(), reinterpret_cast<sockaddr*>(&address), &length) != 0) {
      return ErrnoToStatus(errno, "bind a port");
    }
    UniqueFd tcp(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (bind(tcp.get(), reinterpret_cast<sockaddr*>(&address), length) == 0) {
      return ntohs(address.sin_port);
    }
  }
  return absl::UnavailableError("no free port");
}

bool Accepts(uint16_t port) {
  UniqueFd tcp(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const sockaddr_in address = Loopback(port);
  return connect(tcp.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0;
}

absl::StatusOr<std::string> MakeFolder() {
  const char* const parent = getenv("TEST_TMPDIR");
  std::string path = absl::StrCat(parent != nullptr ? parent : "/tmp", "/dns_server.XXXXXX");
  if (mkdtemp(path.data()) == nullptr) return ErrnoToStatus(errno, "make a folder");
  return path;
}

// Its standard output and error go to `output_path`.
absl::StatusOr<pid_t> StartProgram(const std::string& config_path, const std::string& output_path) {
  const std::string option = absl::StrCat("--conf-file=", config_path);
  const UniqueFd output(open(output_path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
  const char* const arguments[] = {"/usr/sbin/dnsmasq", option.c_str(), nullptr};
  const pid_t parent = getpid();
  const pid_t child = fork();
  if (child < 0) return ErrnoToStatus(errno, "fork");
  if (child == 0) {
    // Only what is safe after a fork of a process with threads.
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent || dup2(output.get(), 1) < 0 || dup2(output.get(), 2) < 0) _exit(1);
    execv(arguments[0], const_cast<char* const*>(arguments));
    _exit(127);
  }
  return child;
}

}  // namespace

absl::StatusOr<std::unique_ptr<DnsServer>> DnsServer::Start(
    const std::vector<std::string>& config) {
  std::string complaint;
  // Another process may take the port first; then this one ends, and another is tried.
  for (int attempt = 0; attempt < 5; ++attempt) {
    auto server = std::unique_ptr<DnsServer>(new DnsServer);
    CB_ASSIGN_OR_RETURN(server->folder_, MakeFolder());
    CB_ASSIGN_OR_RETURN(server->port_, FreePort());
    const std::string config_path = absl::StrCat(server->folder_, "/dnsmasq.conf");
    std::ofstream(config_path) << absl::StrCat(
        "port=", server->port_, "\nlisten-address=127.0.0.1\nbind-interfaces\n",
        "no-daemon\nno-resolv\nno-hosts\nno-poll\nno-dhcp-interface=lo\n",
        "local=/test/in-addr.arpa/ip6.arpa/\ncache-size=0\n",
        "log-queries\nlog-facility=", server->folder_, "/log\n", absl::StrJoin(config, "\n"), "\n");
    CB_ASSIGN_OR_RETURN(server->process_,
                        StartProgram(config_path, absl::StrCat(server->folder_, "/output")));
    const absl::Time deadline = absl::Now() + absl::Seconds(10);
    while (absl::Now() < deadline) {
      int status = 0;
      if (waitpid(server->process_, &status, WNOHANG) == server->process_) {
        server->process_ = -1;
        std::ifstream output(absl::StrCat(server->folder_, "/output"));
        std::getline(output, complaint);
        break;
      }
      if (Accepts(server->port_)) return server;
      absl::SleepFor(absl::Milliseconds(5));
    }
  }
  return absl::UnavailableError(
      absl::StrCat("dnsmasq (Debian package dnsmasq-base) does not start: ", complaint));
}

DnsServer::~DnsServer() {
  if (process_ > 0) {
    kill(process_, SIGKILL);
    waitpid(process_, nullptr, 0);
  }
  std::error_code ignored;
  if (!folder_.empty()) std::filesystem::remove_all(folder_, ignored);
}

std::string DnsServer::ResolvConf() const {
  return absl::StrCat("nameserver [127.0.0.1]:", port_, "\n");
}

std::vector<std::string> DnsServer::Queries() const {
  std::vector<std::string> queries;
  std::ifstream log(absl::StrCat(folder_, "/log"));
  for (std::string line; std::getline(log, line);) {
    const size_t begin = line.find("query[");
    if (begin == std::string::npos) continue;
    const std::vector<std::string> words = absl::StrSplit(line.substr(begin), ' ');
    const size_t end = words[0].find(']');
    if (words.size() < 2 || end == std::string::npos) continue;
    queries.push_back(absl::StrCat(words[0].substr(6, end - 6), " ", words[1]));
  }
  return queries;
}

}  // namespace capbroker::hosts
