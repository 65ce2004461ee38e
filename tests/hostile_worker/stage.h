// Where attacks are made: a process of its own per setting, in which an application lives as it
// would on such a host.
//
// A setting is made for real: by being another user, by sitting in a user namespace that may have
// no further ones, by filters such as containers have. What a layer is switched off by in a test's
// own code shows less.
//
// Lives in: tests.
#ifndef TESTS_HOSTILE_WORKER_STAGE_H_
#define TESTS_HOSTILE_WORKER_STAGE_H_

#include <sys/types.h>

#include <memory>
#include <string>

#include "absl/functional/function_ref.h"
#include "base/unique_fd.h"
#include "tests/hostile_worker/attack.h"

namespace capbroker::hostile {

// How an attack went.
struct Record {
  std::string outcome;
  // What has happened to the surroundings, the broker or another worker: nothing, if empty.
  std::string harm;
  std::string said;  // by the attacker
};

// Who starts workers. Lives in the stage's process.
class Arena {
 public:
  virtual ~Arena() = default;
  // The layers of its workers: "pid namespace, landlock".
  virtual std::string Layers() = 0;
  virtual Record Play(const Attack& attack) = 0;
};

class Stage {
 public:
  // Forks: the process must have one thread. `enter` makes the host what it is to be, and is false
  // if it cannot; then `make` makes what starts workers.
  Stage(bool (*enter)(), absl::FunctionRef<std::unique_ptr<Arena>()> make);
  Stage(const Stage&) = delete;
  Stage& operator=(const Stage&) = delete;
  // Kills everything on it.
  ~Stage();

  // Whether this host can be made such.
  bool can_be_had() const { return can_be_had_; }
  const std::string& layers() const { return layers_; }
  // The attack's outcome.
  Record Play(const Attack& attack);

 private:
  pid_t process_ = 0;
  UniqueFd lane_;
  bool can_be_had_ = false;
  std::string layers_;
};

// The outcome of an attacker who wrote `said` and ended with `exit_code` or by `signal`.
// `violation`: the system call for which its table killed it. `reason`: why it was killed.
std::string OutcomeOf(const std::string& said, int exit_code, int signal,
                      const std::string& violation, const std::string& reason);

// What comes from `fd` until its end, at most 64 KiB of it. Gives up after `milliseconds`.
std::string ReadSome(FdRef fd, int milliseconds);

// Whether `outcome` is one of those stated. A violation that cannot be reported is a SIGSYS.
bool IsAsStated(const std::string& outcome, const std::string& stated, bool reported);

}  // namespace capbroker::hostile

#endif  // TESTS_HOSTILE_WORKER_STAGE_H_
