// What a worker is started with: the whole of its authority in one expression.
//
//   broker.Launch({.entry = ShowPage,
//                  .grants = {{"dns", ResolveNames({"example.org"})}},
//                  .bounds = {.cpu_time = absl::Seconds(5), .memory = Mebibytes(256)}});
//
// Lives in: the application. Values; move-only, because descriptors are given away.
#ifndef CLIENT_WORKER_OPTIONS_H_
#define CLIENT_WORKER_OPTIONS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "base/unique_fd.h"
#include "client/grant.h"
#include "client/grants.h"
#include "client/supervision.h"

namespace capbroker {

// Sizes in bytes, readable where they are written.
constexpr uint64_t Kibibytes(uint64_t count) { return count << 10; }
constexpr uint64_t Mebibytes(uint64_t count) { return count << 20; }
constexpr uint64_t Gibibytes(uint64_t count) { return count << 30; }

// What a worker may use up. Zero means the default that is stated. Of one that may have several
// processes memory and CPU time are each process's, and with BrokerOptions::cgroups also those of all
// of them together: docs/design/worker_cgroups.md.
struct WorkerBounds {
  // CPU time of all its threads. Default: none.
  absl::Duration cpu_time = absl::ZeroDuration();
  // Time since its start. Default: none.
  absl::Duration wall_time = absl::ZeroDuration();
  // Bytes of private memory, beyond what a forked worker shares. Default: 1 GiB.
  uint64_t memory = 0;
  // Open descriptors, the granted channels included. Default: 256.
  uint32_t descriptors = 0;
  // Threads. Default: 256.
  uint32_t threads = 0;
  // Size in bytes of a file that it writes. Default: 1 GiB.
  uint64_t file_size = 0;
};

// What a forked worker runs, in the memory image of the moment of Broker::Start().
// What it returns is the exit code.
using WorkerEntry = int (*)(Grants);

struct WorkerOptions {
  // Either: a function of this program. FAILED_PRECONDITION with a broker that was
  // started as another program.
  WorkerEntry entry = nullptr;
  // Or: the path of a program to execute. It sees its loader and the system's
  // libraries, nothing else, and takes its channels by Grants::FromEnvironment().
  std::string program = {};
  // After argv[0], which is `program`.
  std::vector<std::string> arguments = {};
  // "NAME=value"; the program's whole environment.
  std::vector<std::string> environment = {};
  // At most 16.
  std::vector<Grant> grants = {};
  WorkerBounds bounds = {};
  // For code that names things by itself. Without it every such name fails.
  std::optional<Supervision> supervision = std::nullopt;
  // Bytes for the worker to work on: Grants::input(). At most 512 KiB.
  std::string input = {};
  // Descriptors 0 to 2; /dev/null where there is none. Files, pipes, sockets, terminals.
  UniqueFd standard_input = UniqueFd();
  UniqueFd standard_output = UniqueFd();
  UniqueFd standard_error = UniqueFd();
  // Whether it may make files in memory that no name leads to, and resize them: memory
  // beyond `bounds.memory`, unless the worker has a cgroup.
  bool resizes_files = false;
  // Whether it may make code in its memory, as compilers at run time (JIT) do.
  bool makes_code = false;
  // Whether it may accept connections, on what ListenAt() of services/net/grants.h has given it.
  bool accepts_connections = false;
};

}  // namespace capbroker

#endif  // CLIENT_WORKER_OPTIONS_H_
