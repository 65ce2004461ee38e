// The working directory of a process of the worker, and the mask of the files that it creates.
//
// Both are kept here: the processes' own stay "/" and 0. What the kernel does with the real
// ones (a child inherits them, a program that is executed keeps them, threads share them) it does
// with descriptors as well, so they are written into a sealed file without a name, which each
// process has under one number. It can neither close nor replace it. All the same nothing is
// given by it: a working directory is the beginning of a name, and a name gives what is granted.
//
// Lives in: the supervisor. Immutable.
#ifndef SANDBOX_SUPERVISOR_WORKING_PLACE_H_
#define SANDBOX_SUPERVISOR_WORKING_PLACE_H_

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <utility>

#include "sandbox/supervisor/notification.h"
#include "sandbox/supervisor/worker_descriptors.h"

namespace capbroker::sandbox {

struct WorkingPlace {
  std::string directory = "/";
  uint32_t file_mode_mask = 077;
};

class WorkingPlaces {
 public:
  // `number` is that of the descriptor; `initial` that of a process which has none. Where a
  // worker's descriptors cannot be looked at, nobody leaves the initial place.
  WorkingPlaces(int number, WorkingPlace initial, const WorkerDescriptors& descriptors)
      : number_(number), initial_(std::move(initial)), descriptors_(descriptors) {}

  WorkingPlace Of(pid_t thread) const;
  // The answer to a call that makes `place` the caller's.
  Answer Set(const WorkingPlace& place, int64_t result) const;

 private:
  const int number_;
  const WorkingPlace initial_;
  const WorkerDescriptors& descriptors_;
};

}  // namespace capbroker::sandbox

#endif  // SANDBOX_SUPERVISOR_WORKING_PLACE_H_
