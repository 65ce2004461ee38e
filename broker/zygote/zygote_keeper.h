// The broker's side of the zygote: sends it commands, learns of the ends of its
// children, and replaces it when it dies.
//
// A command never waits for the zygote: what the socket has no room for is queued.
// When a zygote dies
// - what it was asked for and had not reported fails with UNAVAILABLE, and is not
//   tried again: it may have been done. Who learned of the process from itself, sooner than from
//   the zygote, sees to its end;
// - its children become the broker's, which is their subreaper: service processes go on, inits
//   end with their parent;
// - its spare takes over. At the start, and when both are gone, the reserve forks one
//   (zygote_reserve.h): the broker itself forks nothing.
// A zygote that does not answer for ten seconds is killed.
//
// Lives in: the broker, on its one thread.
#ifndef BROKER_ZYGOTE_ZYGOTE_KEEPER_H_
#define BROKER_ZYGOTE_ZYGOTE_KEEPER_H_

#include <sys/types.h>

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/pid_fd.h"
#include "base/unique_fd.h"
#include "broker/zygote/crash_rate.h"
#include "broker/zygote/zygote_reserve.h"
#include "capbroker/v1/zygote.pb.h"
#include "serving/events/event_loop.h"
#include "transport/lane_socket.h"

namespace capbroker::broker {

// How it ended.
struct ChildEnd : ProcessEnd {
  // Of a service process: the system call for which it was killed, as the zygote heard of it.
  std::string violation = {};
  // Of a worker: by the bound of its cgroup, as the zygote saw.
  bool out_of_memory = false;
};

// Of a process whose end nobody can tell any more.
ChildEnd UnknownEnd();

class ZygoteKeeper {
 public:
  // `run` is what the zygote's process does, with the lane on which it obeys and its
  // lifeline; its result is the exit code.
  using RunFunction = ZygoteReserve::RunFunction;
  // Neither may destroy the keeper.
  using Forked = std::function<void(absl::StatusOr<ChildProcess>)>;
  using Ended = std::function<void(const ChildEnd&)>;

  ZygoteKeeper(serving::EventLoop* loop, RunFunction run);
  ~ZygoteKeeper();
  ZygoteKeeper(const ZygoteKeeper&) = delete;
  ZygoteKeeper& operator=(const ZygoteKeeper&) = delete;

  // Forks the reserve and the first zygote, and begins to reap. Nothing is forked here later.
  absl::Status Start();

  // Sends `command` with the descriptors that it names. Later, never within this call,
  // `forked` is called once, and if it was given a process, `ended` once after it.
  void Fork(const v1::ZygoteCommand& command, std::vector<UniqueFd> descriptors, Forked forked,
            Ended ended);

  // 0: there is none at the moment.
  pid_t pid() const { return zygote_.pid; }

 private:
  struct Request {
    Forked forked;  // null once it was called
    Ended ended;
    absl::Time deadline;  // for `forked`
    pid_t pid = 0;
    PidFd process;
    bool orphan = false;  // its zygote is dead: the broker reaps it
  };
  struct Queued {
    uint64_t call = 0;
    std::string message;
    std::vector<UniqueFd> descriptors;
  };

  // The sockets that lead to a zygote.
  struct Lines {
    UniqueFd control;   // kept here
    UniqueFd lifeline;  // kept here
    UniqueFd control_end;
    UniqueFd lifeline_end;
  };
  struct Spare {
    uint64_t generation = 0;
    ChildProcess child = {};  // pid 0: not forked yet
    UniqueFd control = UniqueFd();
    UniqueFd lifeline = UniqueFd();
  };

  static absl::StatusOr<Lines> MakeLines();
  absl::Status TakeOver();
  absl::Status StartZygote();
  absl::Status Activate(ChildProcess zygote, UniqueFd control, UniqueFd lifeline);
  void RequestSpare();
  void FailLater(uint64_t call, const absl::Status& why);
  void ArmWatchdog(absl::Time when);
  void OnControl(uint32_t events);
  bool Receive();
  void Flush();
  void Deliver(uint64_t call, const v1::ZygoteReport& report, std::vector<UniqueFd> descriptors);
  void OnDeath();
  std::vector<Forked> TakeUnanswered();
  void AdoptChildren();
  void ForgetChild(pid_t pid);
  void ReapOrphans();
  void End(uint64_t call, const ChildEnd& end);

  serving::EventLoop* const loop_;
  const RunFunction run_;
  ZygoteReserve reserve_;
  ChildProcess zygote_;
  UniqueFd lifeline_;
  UniqueFd control_;
  uint64_t control_watch_ = 0;
  Spare spare_;
  UniqueFd child_signals_;
  uint64_t child_signals_watch_ = 0;
  CrashRate crashes_;
  uint64_t watchdog_ = 0;
  uint64_t next_call_ = 1;
  std::map<uint64_t, Request> requests_;
  std::deque<Queued> queue_;
  transport::ReceiveBuffer buffer_;
};

}  // namespace capbroker::broker

#endif  // BROKER_ZYGOTE_ZYGOTE_KEEPER_H_
