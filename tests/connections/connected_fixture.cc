#include "tests/connections/connected_fixture.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <string>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "sandbox/supervisor/capability_errno.h"
#include "services/net/connector_limits.h"
#include "services/net/listener_limits.h"
#include "services/net/net_outside.h"

namespace capbroker::testing {

using sandbox::Faults;
using sandbox::RunningWorker;

sockaddr_in AddressOf(const std::string& address, uint16_t port) {
  sockaddr_in name = {};
  name.sin_family = AF_INET;
  name.sin_port = htons(port);
  inet_pton(AF_INET, address.c_str(), &name.sin_addr);
  return name;
}

int NewSocket(int mode) { return socket(AF_INET, SOCK_STREAM | mode, 0); }

int BindTo(int socket, const sockaddr_in& address) {
  return bind(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 ? 0
                                                                                        : -errno;
}

void RaceAddresses(Faults& faults, in_addr_t good, in_addr_t bad, uint16_t port,
                   absl::FunctionRef<int(const sockaddr_in&)> use) {
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = good;
  std::atomic<bool> done{false};
  std::thread changing([&] {
    volatile in_addr_t& value = address.sin_addr.s_addr;
    while (!done) {
      // Each for as long as the other: single stores would retire together, and where this thread
      // shares a CPU with those that it races with, it would hardly ever be stopped between them.
      for (int i = 0; i < 200; ++i) value = bad;
      for (int i = 0; i < 200; ++i) value = good;
    }
  });
  int accepted = 0, refused = 0;
  const absl::Time end = absl::Now() + absl::Seconds(20);
  while ((accepted < 20 || refused < 20) && absl::Now() < end) {
    const int error = use(address);
    if (error == -ENOBUFS) {  // the leases of those that were closed end later
      usleep(10'000);
      continue;
    }
    faults.Expect(error == 0 || error == -sandbox::kEnotcapable, std::to_string(error));
    (error == 0 ? accepted : refused) += 1;
  }
  done = true;
  changing.join();
  faults.Expect(accepted >= 20 && refused >= 20,
                absl::StrCat("accepted ", accepted, ", refused ", refused));
}

void ExpectLeasesRunOut(Faults& faults, size_t most, absl::FunctionRef<int(int)> use) {
  std::vector<int> sockets;
  int error = 0;
  while (error == 0 && sockets.size() <= 2 * most) {
    sockets.push_back(NewSocket());
    error = use(sockets.back());
  }
  faults.Expect(error == -ENOBUFS, absl::StrCat("ended with ", error));
  faults.Expect(sockets.size() == most + 1, absl::StrCat("after ", sockets.size()));
  for (const int socket : sockets) close(socket);
  // Closed ones are seen, and given up.
  for (int i = 0; i < 1000 && error != 0; ++i) {
    usleep(20'000);
    error = use(NewSocket());
  }
  faults.Expect(error == 0, absl::StrCat("later: ", error));
}

int ConnectTo(int socket, const sockaddr_in& address) {
  return connect(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 ? 0
                                                                                           : -errno;
}

int FindAddress(const std::string& name, uint16_t port, sockaddr_in& address) {
  addrinfo wanted = {};
  wanted.ai_family = AF_INET;
  wanted.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int error = getaddrinfo(name.c_str(), std::to_string(port).c_str(), &wanted, &found);
  if (error != 0) return error;
  std::memcpy(&address, found->ai_addr, sizeof address);
  freeaddrinfo(found);
  return 0;
}

ConnectedTest::ConnectedTest() { Grant(Local({"web.test", "rebind.test"}, {server_.port_text()})); }

void ConnectedTest::SetUp() {
  const sandbox::LayerSet needed = {sandbox::Layer::kLandlock, sandbox::Layer::kViolationReports};
  if (!runner_.sandbox().in_force().HasAll(needed)) {
    GTEST_SKIP() << "grants need " << needed.ToString();
  }
}

void ConnectedTest::Grant(const net::v1::ConnectorLimits& limits) {
  connector_ = std::make_unique<net::ConnectorProcess>(hosts_, limits);
}

void ConnectedTest::GrantServers(const std::vector<std::string>& addresses,
                                 const std::vector<std::string>& ports) {
  listener_ = std::make_unique<net::ListenerProcess>(net::LimitsForServers(addresses, ports));
}

net::v1::ConnectorLimits ConnectedTest::Local(const std::vector<std::string>& names,
                                              const std::vector<std::string>& ports) {
  return net::LimitsForHosts(names, ports, {.local_addresses = {"127.0.0.0/8", "::1"}});
}

sandbox::Start ConnectedTest::NewStart() {
  sandbox::Start start;
  sandbox::Supervision& supervision = start.supervision.emplace();
  supervision.refusal = refusal_;
  supervision.outside.connectors.push_back(connector_->TakeLane());
  if (listener_ != nullptr) supervision.outside.listeners.push_back(listener_->TakeLane());
  supervision.make_outside = &net::MakeNetOutside;
  return start;
}

RunningWorker ConnectedTest::StartWorker(absl::FunctionRef<void(Faults&)> entry) {
  return runner_.Start(
      [&] {
        Faults faults;
        entry(faults);
        const std::string& text = faults.text();
        return write(sandbox::kTether, text.data(), text.size()) ==
                       static_cast<ssize_t>(text.size())
                   ? 0
                   : 1;
      },
      NewStart());
}

std::string ConnectedTest::FaultsOf(RunningWorker worker) {
  std::string faults = sandbox::ContentOf(worker.tether.get());
  const sandbox::Story story = sandbox::Collect(std::move(worker));
  if (story.exit_code() != 0) absl::StrAppend(&faults, story.text);
  return faults;
}

std::string ConnectedTest::Run(absl::FunctionRef<void(Faults&)> entry) {
  return FaultsOf(StartWorker(entry));
}

ProgramOutcome ConnectedTest::RunProgram(const std::string& program,
                                         std::vector<std::string> arguments,
                                         std::vector<FileGrant> grants) {
  auto [output, its_output] = sandbox::SocketPair(SOCK_STREAM);
  auto [errors, its_errors] = sandbox::SocketPair(SOCK_STREAM);
  sandbox::Start start = NewStart();
  start.supervision->files = std::move(grants);
  start.supervision->processes = processes_;
  start.descriptors.push_back({std::move(its_output), 1});
  start.descriptors.push_back({std::move(its_errors), 2});
  RunningWorker worker = runner_.StartProgram(
      program, std::move(arguments), {"LC_ALL=C.UTF-8", "PATH=/usr/bin:/bin"}, std::move(start));
  ProgramOutcome outcome;
  outcome.output = sandbox::ContentOf(output.get());
  outcome.errors = sandbox::ContentOf(errors.get());
  const sandbox::Story story = sandbox::Collect(std::move(worker));
  outcome.exit_code = story.exit_code();
  absl::StrAppend(&outcome.errors, story.text);
  return outcome;
}

}  // namespace capbroker::testing
