// A worker as the application has it.
//
// Like a process descriptor, the handle is the worker's life: destroying it kills the
// worker, unless it has ended or Detach() was called. No worker outlives the broker.
//
// Lives in: the application. Thread-safe, but for moves.
#ifndef CLIENT_WORKER_H_
#define CLIENT_WORKER_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace capbroker {

struct WorkerUsage {
  absl::Duration user_time;
  absl::Duration system_time;
  uint64_t max_resident_bytes = 0;
};

// How a worker ended.
class WorkerEnd {
 public:
  // What a shell would say: the code that it exited with, or 128 and the signal's
  // number. 0 only if it ended well.
  int exit_code() const { return signal_ == 0 ? exit_code_ : 128 + signal_; }
  // The signal that killed it, or 0.
  int signal() const { return signal_; }
  // The system call for which its table killed it, or empty: "ptrace". "call 5 of architecture
  // 0x40000003" by another interface than the native one.
  const std::string& violation() const { return violation_; }
  // Why it was killed: "wall_time", "cpu_time", "memory" (of its cgroup), "killed by the
  // application", ...
  const std::string& reason() const { return reason_; }
  const WorkerUsage& usage() const { return usage_; }

  // For people: "exited with 3", "violated its table: ptrace".
  std::string ToString() const;

 private:
  friend class Worker;
  int exit_code_ = 0;
  int signal_ = 0;
  std::string violation_;
  std::string reason_;
  WorkerUsage usage_;
};

class BrokerLink;

class Worker {
 public:
  Worker(Worker&&) noexcept;
  Worker& operator=(Worker&&) noexcept;
  ~Worker();

  // Waits for its end. A worker whose broker is gone was killed with it.
  WorkerEnd Wait();
  // The same for at most `timeout`: nothing while the worker runs.
  std::optional<WorkerEnd> WaitFor(absl::Duration timeout);

  // Kills it. Not an error if it has ended.
  absl::Status Kill();

  // Sends a signal to it and to what it has started, as a terminal does.
  // NOT_FOUND: it has ended. INVALID_ARGUMENT: no such signal.
  absl::Status Signal(int signal);

  // Lets it run to its own end, or the broker's, without this handle.
  void Detach();

  uint64_t id() const;
  // The layers of confinement in force for it: "pid namespace", "landlock", ...; "cgroup" if it has
  // one, "cgroup memory" and "cgroup pids" if it bounds these.
  const std::vector<std::string>& layers() const;

 private:
  friend class Broker;
  struct State;
  Worker(std::shared_ptr<BrokerLink> broker, uint64_t id, std::vector<std::string> layers);
  void Forget();

  std::unique_ptr<State> state_;
};

}  // namespace capbroker

#endif  // CLIENT_WORKER_H_
