// Starting confined workers.
//
// A worker is a process that can reach nothing by itself: its descriptors are
// all its authority. `WorkerSandbox` is prepared once in the zygote (filters
// compiled, Landlock rulesets made, host probed) and then starts workers of two
// kinds:
//
// - *forked*: the same program image, continuing in `entry`. Memory pages are
//   shared, so what the image knows, the worker knows;
// - *executed*: a program from a descriptor, in a fresh image, which sees its
//   loader and the system's libraries read-only and nothing else.
//
// Each worker has a parent of its own, the *init* (init.h): PID 1 of the
// worker's PID namespace. It reports what becomes of the worker, kills it when
// the lifeline closes, and everything dies with it.
//
//   zygote ── init ── worker
//
// Order of a start, with every step named in report.h's Step: namespaces, ids,
// empty root, Landlock; then in the worker session, descriptors, bounds,
// capabilities, and the system call table as the last thing before `entry` or
// the program. A step that fails ends the start and is reported
// (INVARIANT(fail-closed)).
//
// Lives in: the zygote. Not thread-safe, and the process must have one thread.
#ifndef SANDBOX_WORKER_SANDBOX_H_
#define SANDBOX_WORKER_SANDBOX_H_

#include <sys/types.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "base/pid_fd.h"
#include "base/unique_fd.h"
#include "sandbox/host_facts.h"
#include "sandbox/layers/layers.h"
#include "sandbox/resource_bounds.h"
#include "sandbox/supervisor/descriptor_sight.h"
#include "sandbox/supervisor/supervision.h"

namespace capbroker::sandbox {

// A descriptor and the number that the worker finds it at (0 to 127).
struct PlacedFd {
  UniqueFd descriptor;
  int number = -1;
};

// One start. Consumed by it, also when it fails.
struct Start {
  // The worker's whole descriptor table. Where 0, 1 or 2 is not named, it is
  // /dev/null. Sockets that gRPC's core will use must be O_NONBLOCK already: a
  // worker cannot change the flags of an open file.
  std::vector<PlacedFd> descriptors;
  Bounds bounds;
  // Kills the worker when its other end is closed or shut down. A socket or
  // pipe. May be left out: then only the end of the zygote kills it. A byte that is written to
  // the other end is the number of a signal for the worker and what it has started.
  UniqueFd lifeline;
  // The init writes Reports here (report.h). A seqpacket socket. May be left
  // out.
  UniqueFd report;
  // The directory of a cgroup for its init and all that follows (worker_cgroups.h). May be left
  // out: the zygote's.
  UniqueFd cgroup;
  // Lets the worker create, grow and truncate files that have no name, and
  // truncate those that it was granted for writing: memfd_create, ftruncate,
  // fallocate, F_ADD_SEALS. Off, because files outside its memory escape
  // Bounds::memory_bytes, and because an append-only descriptor could be
  // truncated.
  bool resizes_files = false;
  // Lets it make code in its memory, as compilers at run time (JIT) do. Off, because an attacker
  // who has got into a process does that next.
  bool makes_code = false;
  // Lets it accept connections on the sockets that listen and that it was given.
  bool accepts_connections = false;
  // For code that opens files by name, without knowing of any broker: a supervisor
  // (supervisor/supervisor.h) answers the calls that name files, with ENOTCAPABLE for what is not
  // granted. Needs Layer::kLandlock and Layer::kViolationReports.
  std::optional<Supervision> supervision;
};

struct Started {
  pid_t init_pid = 0;
  // Signal SIGKILL to end the worker; Wait() or TryWait() reaps the init. It
  // exits with 0 when it has reported the worker's end. Its exit signal is 0:
  // no SIGCHLD, plain wait() does not see it.
  PidFd init;
};

class WorkerSandbox {
 public:
  // Probes the host and prepares both kinds of start. Workers get every layer
  // that the host offers, but those in `off` (for tests; kAlwaysInForce cannot
  // be switched off), and supervisors that see as much as it offers, but at most
  // `most`. FAILED_PRECONDITION: a required layer cannot be had; the message
  // says which and who forbids it. Or the process has more than one thread.
  static absl::StatusOr<WorkerSandbox> Prepare(LayerSet required, LayerSet off = {},
                                               DescriptorSight most = DescriptorSight::kDuplicates);

  WorkerSandbox(WorkerSandbox&&) noexcept;
  WorkerSandbox& operator=(WorkerSandbox&&) noexcept;
  ~WorkerSandbox();

  const HostFacts& host() const;
  // What the workers get.
  LayerSet in_force() const;
  // What their supervisors see.
  DescriptorSight sight() const;

  // Both return as soon as the init exists; whether the start succeeds is told
  // by the first report. INVALID_ARGUMENT: descriptor numbers twice or out of
  // range, or a supervision's paths not in normal form. FAILED_PRECONDITION: a supervision without
  // the layers that it needs.

  // Runs `entry` in a confined worker. What it returns (0 to 255) is the exit
  // code. `entry` is called in the child's copy of memory; destructors of the
  // caller's frames do not run there.
  absl::StatusOr<Started> Fork(Start start, absl::FunctionRef<int()> entry);

  // A forked worker that waits, confined, for its job (spare_job.h), of which the other end of
  // `job`, a seqpacket socket, is given; `entry` is called with the value in it. The first report
  // is kWaits. INVALID_ARGUMENT: descriptors or a supervision in `start`.
  absl::StatusOr<Started> ForkSpare(Start start, UniqueFd job,
                                    absl::FunctionRef<int(uint64_t)> entry);

  // Executes `program`, a descriptor of an executable file (no script),
  // confined. `arguments` begins with argv[0]. `environment` is "NAME=value"
  // strings and the whole environment.
  absl::StatusOr<Started> Execute(Start start, UniqueFd program, std::vector<std::string> arguments,
                                  std::vector<std::string> environment);

 private:
  struct State;
  explicit WorkerSandbox(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace capbroker::sandbox

#endif  // SANDBOX_WORKER_SANDBOX_H_
