// What this host lets a worker's confinement use, found by trying.
//
// Settings that forbid a layer are many (sysctls, LSM policies, a container's
// own filter), so asking each is guesswork. A child tries every layer for real
// and is gone; the settings are read only to say who forbids what failed.
//
// Lives in: the zygote, and programs that explain a host (`capbroker check`).
#ifndef SANDBOX_HOST_FACTS_H_
#define SANDBOX_HOST_FACTS_H_

#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "sandbox/layers/layers.h"
#include "sandbox/supervisor/descriptor_sight.h"

namespace capbroker::sandbox {

struct HostFacts {
  std::string kernel_release;
  // Layers that a worker started by this process can have.
  LayerSet offered;
  // Why each of the others cannot be had: what failed, with which errno, and
  // the setting that forbids it where one is known.
  std::map<Layer, std::string> forbidden;
  int landlock_abi = 0;  // 0: none
  // This process has root's authority over the uids that workers are given.
  bool may_assign_uids = false;
  // What a process here sees of another's descriptors. Connections take duplicates; names that
  // begin at a directory that is open, and changes of files that are, take handles.
  DescriptorSight descriptor_sight = DescriptorSight::kNone;
  // The same of the supervisor of a worker with these layers, at most `most`.
  DescriptorSight SightWith(LayerSet layers,
                            DescriptorSight most = DescriptorSight::kDuplicates) const;

  // What a filter may do to a system call: "errno", "user_notif", ...
  std::vector<std::string> seccomp_actions;
  // The cgroup (version 2) of this process; empty: there is none.
  std::string cgroup;
  // If it is delegated to this process (base/own_cgroup.h), the controllers that could bound
  // workers there;
  std::vector<std::string> delegated_controllers;
  // else why it is not.
  std::string not_delegated;

  // FAILED_PRECONDITION, with what is missing and who forbids it: no worker starts here.
  absl::Status CheckFloor() const;

  // One line per layer, for people.
  std::string ToString() const;
};

// Takes about 2 ms and forks. For a process with a single thread.
HostFacts ProbeHost();

}  // namespace capbroker::sandbox

#endif  // SANDBOX_HOST_FACTS_H_
