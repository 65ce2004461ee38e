// From what `capbroker run` was told to what a broker launches.
#ifndef CLI_RUN_LAUNCH_H_
#define CLI_RUN_LAUNCH_H_

#include "absl/status/statusor.h"
#include "cli/run_options.h"
#include "client/worker_options.h"

namespace capbroker::cli {

// With the standard descriptors, the environment and the working directory of this process. In
// learn mode every file is granted that this user may use.
// NOT_FOUND: no such program; PERMISSION_DENIED: it cannot be executed; INVALID_ARGUMENT.
absl::StatusOr<WorkerOptions> ToWorkerOptions(const RunOptions& options);

}  // namespace capbroker::cli

#endif  // CLI_RUN_LAUNCH_H_
