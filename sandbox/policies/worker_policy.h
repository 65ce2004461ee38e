// The two tables of system calls that confine workers.
//
// Outcomes (policy.h), chosen by one question: what would an honest
// program do with it?
//
// - Allowed: computing, memory that is never executable, threads, time, and
//   everything that acts only on descriptors which the worker was given;
// - Fails softly: what names something (a path, an address, another process),
//   because libraries probe; and what would change an object that others hold,
//   too;
// - Dies: what only an attack does (ptrace, mounts, namespaces, BPF, io_uring,
//   ...), and every call that is in neither list;
// - Is asked for, in a worker that has grants: what names a file. The calls that
//   name something of a kind that cannot be granted fail with ECAPMODE then.
//
// Descriptors keep their rights: O_APPEND cannot be cleared, modes, owners,
// times and attributes of a file cannot be changed, a socket cannot be
// connected, bound, made to listen or to send to an address, and an exec happens only as
// the start of an executed worker.
//
// What a filter cannot see: the address in sendmsg's msg_name is in memory.
// Never hand a worker a datagram socket that is not AF_UNIX.
//
// Runs in: the zygote, and tests.
#ifndef SANDBOX_POLICIES_WORKER_POLICY_H_
#define SANDBOX_POLICIES_WORKER_POLICY_H_

#include <compare>

#include "sandbox/supervisor/capability_errno.h"
#include "sandbox/supervisor/descriptor_sight.h"
#include "sandbox/table/policy.h"

namespace capbroker::sandbox {

struct WorkerTable {
  enum class Kind {
    kForked,    // never maps or executes code
    kExecuted,  // also: its own start, the loader's open, read-only executable
                // file mappings
  };
  Kind kind = Kind::kForked;
  // Start::resizes_files.
  bool resizes_files = false;
  // Start::makes_code.
  bool makes_code = false;
  // Start::accepts_connections, or its supervisor gives it servers.
  bool accepts = false;
  // Has a supervisor, which answers calls that name files.
  bool supervised = false;
  // It may fork, execute what Landlock and its view let it, and signal its own. Supervised and
  // executed workers only.
  bool processes = false;
  // Landlock keeps signals within the worker.
  bool scopes_signals = false;
  // How names of a kind that nobody can grant fail.
  int refused_errno = kEcapmode;
  // The supervisor connects, too: the worker makes sockets that reach nobody, and asks for each
  // connection. With `supervised` only.
  bool connects = false;
  // Paths reach only the worker's own root (Layer::kMountNamespace). Otherwise
  // executed workers can see the metadata of any path: newfstatat can be given one
  // together with AT_EMPTY_PATH. Forked ones never: their fstat() is answered as
  // fstat_answer.h says.
  bool has_own_root = true;
  // Processes are numbered for it alone (Layer::kPidNamespace). Otherwise it asks about itself
  // only.
  bool has_own_pids = true;
  // What its supervisor sees of its descriptors. Without anything it tells nothing by one, and what
  // paths have of metadata is seen as without a supervisor.
  DescriptorSight sight = DescriptorSight::kDuplicates;
  // The host's name is not the machine's (Layer::kUtsNamespace). Otherwise a supervisor says it.
  bool has_own_host_name = true;

  friend auto operator<=>(const WorkerTable&, const WorkerTable&) = default;
};

Policy WorkerPolicy(const WorkerTable& table);

// execveat of an executed worker: the number above every descriptor that it can
// have, so that no later descriptor matches the row.
inline constexpr int kHighestDescriptorBound = 4096;

}  // namespace capbroker::sandbox

#endif  // SANDBOX_POLICIES_WORKER_POLICY_H_
