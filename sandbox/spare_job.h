// What makes a spare somebody's worker.
//
// A spare is a forked worker (WorkerSandbox::ForkSpare) that is confined by all that its start
// asked for, bounds and table included, and holds nothing: it waits on a socket for its one job. A
// job is descriptors, with the numbers that they are to have, and a value that the entry is called
// with. What else a worker can be started with is what the spare was made with.
//
//   giver ──job──> spare ──"ready"──> init ──kStarted──> giver
//                        <──"go"─────
//
// The spare arranges its descriptors, looks whether these are all that it has, lowers its
// descriptor limit, and runs when its init has reported that it does. So a spare that died without
// that report has done nothing of its job, also if it was being killed when the job was given to
// it.
//
// Lives in: who gives the job (the broker), and the spare, before the first line of the entry.
#ifndef SANDBOX_SPARE_JOB_H_
#define SANDBOX_SPARE_JOB_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "base/unique_fd.h"
#include "sandbox/descriptor_table.h"

namespace capbroker::sandbox {

inline constexpr size_t kMostJobDescriptors = 32;

struct SpareJob {
  uint64_t value = 0;
  // Distinct places (0 to 127); the descriptors stay the giver's. Where 0, 1 or 2 is not named, it
  // is /dev/null.
  std::vector<Placement> descriptors = {};
};

// Sends it. UNAVAILABLE: the spare is gone. INVALID_ARGUMENT: what a start would be refused for.
absl::Status GiveJob(FdRef socket, const SpareJob& job);

// The spare's side. False: nobody has a job for it any more. The descriptors in `job` are then
// new ones of this process.
bool TakeJob(FdRef socket, SpareJob& job);

}  // namespace capbroker::sandbox

#endif  // SANDBOX_SPARE_JOB_H_
