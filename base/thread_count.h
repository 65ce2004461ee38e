// Whether a process has threads: forking one that has copies one of them, and the locks of all.
//
// Runs in every process.
#ifndef BASE_THREAD_COUNT_H_
#define BASE_THREAD_COUNT_H_

#include "absl/status/statusor.h"

namespace capbroker {

// FAILED_PRECONDITION: the host forbids to ask, and has no /proc.
absl::StatusOr<bool> IsSingleThreaded();

}  // namespace capbroker

#endif  // BASE_THREAD_COUNT_H_
