// Who a worker is to the kernel: its ids, its user namespace's maps, its
// capabilities.
//
// Three situations, told by the host (host_facts.h):
//   1. the zygote may assign uids: each worker gets a uid and gid of its own
//      that own no file. With a user namespace the zygote maps them from
//      outside; without, the worker switches to them directly;
//   2. an ordinary user with a user namespace: the worker maps the user's own
//      uid and gid, nothing else. Supplementary groups stay in force: the
//      kernel does not let an ordinary user drop them;
//   3. neither: the ids stay. In every case the worker ends without
//      capabilities and can never get one.
//
// Lives in: the zygote (ids, outside maps), and init (the rest).
#ifndef SANDBOX_LAYERS_IDENTITY_H_
#define SANDBOX_LAYERS_IDENTITY_H_

#include <sys/types.h>

#include <cstdint>
#include <optional>

#include "absl/status/status.h"
#include "sandbox/step_result.h"

namespace capbroker::sandbox {

struct Ids {
  uid_t uid = 0;
  gid_t gid = 0;
};

// The uids and gids of workers. systemd's table of uids (UIDS-GIDS.md) ends its
// container ranges right below, and gives nobody what follows.
inline constexpr uint32_t kFirstWorkerId = 0x70000000;
inline constexpr uint32_t kWorkerIdCount = 0x10000;

// True if this process may give workers those ids: CAP_SETUID and CAP_SETGID
// over all of them.
bool MayAssignIds();
// True if this process has `capability` in effect.
bool HasCapability(int capability);
// True if no group but the gid is in force.
bool HasNoSupplementaryGroups();

// Who else exists in a user namespace whose ids are mapped from outside.
inline constexpr Ids kNobody = {65534, 65534};

// Maps `ids` to themselves in the user namespace of the child `pid`, and, if stated, `nobody`
// to kNobody. Caller: the zygote.
absl::Status MapIdsFromOutside(pid_t pid, Ids ids, std::optional<Ids> nobody);

// Maps the caller's own ids, as its parent knows them, in its new user
// namespace. Root is mapped to nobody, so that nothing takes the worker for
// root.
StepResult MapOwnIds(Ids outside);

// Takes `ids`, and no groups. Needs CAP_SETUID and CAP_SETGID over them.
StepResult TakeIds(Ids ids);
// Takes `real` as real ids and `effective` for everything else, and no groups: who may look into
// processes of the former, and opens files as the latter. Needs CAP_SETUID and CAP_SETGID.
StepResult TakeSplitIds(Ids real, Ids effective);
// Drops all groups but the gid.
StepResult DropGroups();

// Empties the bounding set, which children inherit as it is unless they enter a user namespace.
// Needs CAP_SETPCAP; without it there is nothing to lose.
StepResult EmptyBoundingSet();
bool IsBoundingSetEmpty();
// Locks the rules that give root capabilities. Needs CAP_SETPCAP, as above.
StepResult LockCapabilityRules();
// Both.
StepResult LockCapabilities();
// Empties every set, but keeps those of `kept` (bits by number) in effect that are.
StepResult DropCapabilities(uint64_t kept = 0);

}  // namespace capbroker::sandbox

#endif  // SANDBOX_LAYERS_IDENTITY_H_
