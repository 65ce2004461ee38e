// Starts a worker from a test and collects what is reported of it. Tests only.
#ifndef SANDBOX_WORKER_RUNNER_H_
#define SANDBOX_WORKER_RUNNER_H_

#include <errno.h>
#include <unistd.h>

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/unique_fd.h"
#include "sandbox/layers/layers.h"
#include "sandbox/report.h"
#include "sandbox/supervisor/descriptor_sight.h"
#include "sandbox/table/system_calls.h"
#include "sandbox/worker_sandbox.h"

namespace capbroker::sandbox {

// Two ends of an AF_UNIX socket.
std::pair<UniqueFd, UniqueFd> SocketPair(int type);

// A worker that runs. Its end closes the lifeline.
class RunningWorker {
 public:
  RunningWorker() = default;
  RunningWorker(RunningWorker&&) = default;

  // The next report; nothing at end of file or when `limit` has passed.
  std::optional<Report> Next(absl::Duration limit = absl::Seconds(20));
  // True if the other end of `tether` is closed within `limit`: the worker that
  // held it is gone.
  bool IsGone(absl::Duration limit = absl::Seconds(10));

  Started started;
  UniqueFd lifeline;
  UniqueFd reports;
  UniqueFd tether;  // a stream socket whose other end the worker holds as
                    // descriptor kTether
};
inline constexpr int kTether = 3;

// What was reported of a worker, until end of file.
struct Story {
  std::optional<Report> failed, started, violation, exited;
  bool timed_out = false;
  std::string text;  // all of it, for messages

  // "ptrace"; empty if the table was not violated.
  std::string violated_call() const;
  // -1 if it did not exit by itself.
  int exit_code() const { return exited && exited->signal == 0 ? exited->exit_code : -1; }
  int signal() const { return exited ? exited->signal : -1; }
};

class WorkerRunner {
 public:
  // Terminates the test program if the host cannot.
  explicit WorkerRunner(LayerSet off = {}, LayerSet required = kRequired,
                        DescriptorSight most = DescriptorSight::kDuplicates);

  WorkerSandbox& sandbox() { return sandbox_; }

  RunningWorker Start(absl::FunctionRef<int()> entry, sandbox::Start start = {});
  RunningWorker StartProgram(const std::string& path, std::vector<std::string> arguments,
                             std::vector<std::string> environment = {}, sandbox::Start start = {});
  // Its tether is no one's: `job` gets the end of the socket by which it is given a job.
  RunningWorker StartSpare(absl::FunctionRef<int(uint64_t)> entry, UniqueFd& job,
                           sandbox::Start start = {});
  Story Run(absl::FunctionRef<int()> entry, sandbox::Start start = {});
  Story RunProgram(const std::string& path, std::vector<std::string> arguments,
                   std::vector<std::string> environment = {}, sandbox::Start start = {});

 private:
  WorkerSandbox sandbox_;
};

// The errno of a raw system call; 0 if it succeeded.
template <typename... Arguments>
int TrySystemCall(const char* name, Arguments... arguments) {
  const long number = *SystemCallNumber(name, kNativeArchitecture);
  return syscall(number, arguments...) == -1 ? errno : 0;
}

// Everything that is reported until the end; kills and reaps what is left.
Story Collect(RunningWorker worker, absl::Duration limit = absl::Seconds(20));

}  // namespace capbroker::sandbox

#endif  // SANDBOX_WORKER_RUNNER_H_
