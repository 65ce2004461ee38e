// The descriptor table that a confined process starts with: exactly the stated
// descriptors at the stated numbers.
//
// Lives in: the zygote (checking), init and worker (arranging).
#ifndef SANDBOX_DESCRIPTOR_TABLE_H_
#define SANDBOX_DESCRIPTOR_TABLE_H_

#include <vector>

#include "absl/status/status.h"
#include "base/unique_fd.h"
#include "sandbox/step_result.h"

namespace capbroker::sandbox {

// The numbers from 0 up to which descriptors can be placed; those from here to
// below kPlacesEnd are for the sandbox's own.
inline constexpr int kGrantedPlaces = 128;
inline constexpr int kPlacesEnd = 136;

struct Placement {
  int from = -1;  // a number in the present table
  int to = -1;
  bool close_on_exec = true;
};

// INVALID_ARGUMENT if holding `descriptor` would give a worker more than that
// descriptor: a directory (".." leads out of it), a block device, a path that
// was opened without access, or a socket that can be sent through to any
// address.
absl::Status CheckGrantable(FdRef descriptor);

// Rearranges the table so that it holds the placements and nothing else, and
// looks whether it does. Numbers must be distinct and below kPlacesEnd. For a
// process with its own table and one thread.
StepResult ArrangeDescriptors(const std::vector<Placement>& placements);

// The same for a table that was arranged before, and in which no descriptor is O_PATH, which
// poll(2) would not see: it looks by one system call and not by one for each number.
StepResult RearrangeDescriptors(const std::vector<Placement>& placements);

}  // namespace capbroker::sandbox

#endif  // SANDBOX_DESCRIPTOR_TABLE_H_
