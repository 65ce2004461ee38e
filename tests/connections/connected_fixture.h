// A worker with grants of connections, the Connector that has them, and servers of this machine.
//
// Lives in: test programs.
#ifndef TESTS_CONNECTIONS_CONNECTED_FIXTURE_H_
#define TESTS_CONNECTIONS_CONNECTED_FIXTURE_H_

#include <netinet/in.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "base/file_grant.h"
#include "base/unique_fd.h"
#include "gtest/gtest.h"
#include "sandbox/supervisor/supervised_fixture.h"
#include "sandbox/worker_runner.h"
#include "sandbox/worker_sandbox.h"
#include "services/net/testing/connector_process.h"
#include "services/net/testing/listener_process.h"
#include "services/net/testing/local_server.h"

namespace capbroker::testing {

// Of the loopback network.
sockaddr_in AddressOf(const std::string& address, uint16_t port);

// For use in the worker. Below zero: errno.
int NewSocket(int mode = 0);
int ConnectTo(int socket, const sockaddr_in& address);
int BindTo(int socket, const sockaddr_in& address);
// Calls `use` with an address that another thread changes all the time, from `good` to `bad` and
// back, until 20 calls have met the one and 20 the other: those were done, and these refused. `use`
// gives errno, below zero.
void RaceAddresses(sandbox::Faults& faults, in_addr_t good, in_addr_t bad, uint16_t port,
                   absl::FunctionRef<int(const sockaddr_in&)> use);
// Uses sockets until there are `most`, which are leased, and again when these are closed. `use`
// gives errno, below zero.
void ExpectLeasesRunOut(sandbox::Faults& faults, size_t most, absl::FunctionRef<int(int)> use);
// The first IPv4 address by getaddrinfo(); else its error.
int FindAddress(const std::string& name, uint16_t port, sockaddr_in& address);

struct ProgramOutcome {
  int exit_code = -1;
  std::string output;
  std::string errors;  // and what became of the worker
};

// The worker may connect to web.test, which is 127.0.0.1, at the port of `server_`; rebind.test
// and other.test are there, too.
class ConnectedTest : public ::testing::Test {
 protected:
  ConnectedTest();

  void SetUp() override;

  // Of all that the worker may do; before it is started.
  void Grant(const net::v1::ConnectorLimits& limits);
  // Where it may be a server; before it is started.
  void GrantServers(const std::vector<std::string>& addresses,
                    const std::vector<std::string>& ports);
  // For servers of this machine.
  static net::v1::ConnectorLimits Local(const std::vector<std::string>& names,
                                        const std::vector<std::string>& ports);

  sandbox::Start NewStart();
  // As RunSupervised(): what was wrong.
  std::string Run(absl::FunctionRef<void(sandbox::Faults&)> entry);
  sandbox::RunningWorker StartWorker(absl::FunctionRef<void(sandbox::Faults&)> entry);
  static std::string FaultsOf(sandbox::RunningWorker worker);

  ProgramOutcome RunProgram(const std::string& program, std::vector<std::string> arguments,
                            std::vector<FileGrant> grants = {});

  const net::TestHosts hosts_{{"host-record=web.test,127.0.0.1", "host-record=other.test,127.0.0.2",
                               "host-record=rebind.test,127.0.0.1",
                               "host-record=metadata.test,169.254.169.254",
                               "cname=alias.test,web.test"}};
  net::LocalServer server_;
  std::unique_ptr<net::ConnectorProcess> connector_;
  std::unique_ptr<net::ListenerProcess> listener_;
  Refusal refusal_ = Refusal::kNotCapable;
  bool processes_ = false;  // of programs
  sandbox::WorkerRunner runner_{{}, {}};
};

}  // namespace capbroker::testing

#endif  // TESTS_CONNECTIONS_CONNECTED_FIXTURE_H_
