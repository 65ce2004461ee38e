// How far a supervisor sees what its worker has open.
//
// Runs in: the zygote and programs that explain a host, which ask; the supervisor.
#ifndef SANDBOX_SUPERVISOR_DESCRIPTOR_SIGHT_H_
#define SANDBOX_SUPERVISOR_DESCRIPTOR_SIGHT_H_

#include "base/unique_fd.h"

namespace capbroker::sandbox {

// Each includes those before it.
enum class DescriptorSight {
  kNone,        // not at all: names are answered, and nothing that takes a descriptor
  kHandles,     // which file or directory it is, through /proc (worker_descriptors.h)
  kDuplicates,  // as the worker itself, by pidfd_getfd(2)
};

// The most that this host has for processes that see its /proc and are numbered in it.
DescriptorSight ProbeDescriptorSight();

// The /proc in which this process has its own number, to walk from. Invalid: there is none.
UniqueFd OpenProcesses();

}  // namespace capbroker::sandbox

#endif  // SANDBOX_SUPERVISOR_DESCRIPTOR_SIGHT_H_
