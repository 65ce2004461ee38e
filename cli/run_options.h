// The arguments of `capbroker run`.
#ifndef CLI_RUN_OPTIONS_H_
#define CLI_RUN_OPTIONS_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "cli/run_policy.pb.h"

namespace capbroker::cli {

struct RunOptions {
  run::v1::RunPolicy policy;  // of all --policy files and of the options, merged
  std::string cgroup;         // in which it gets one of its own, as WorkerCgroups::beneath
  bool explain = false;
  std::string learn;  // the file that gets the policy; empty: not asked for
  std::string program;
  std::vector<std::string> arguments;
};

// INVALID_ARGUMENT: what is wrong, and where.
absl::StatusOr<RunOptions> ParseRunOptions(const std::vector<std::string>& arguments);

}  // namespace capbroker::cli

#endif  // CLI_RUN_OPTIONS_H_
