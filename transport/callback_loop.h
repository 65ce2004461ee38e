// Where a program with many channels has its callbacks run: on one thread, which is its own.
//
//   auto loop = CallbackLoop::Create();
//   channel->CompleteIn(*loop);
//   stub->async()->Resolve(&context, &request, &response, [](grpc::Status status) { ... });
//   while (...) (*loop)->RunOnce();
//
// A channel that is not in a loop has threads of its own for its callbacks. Those of one loop have
// none, and where many of them are called, calls to one service process share memory
// (transport/shared_mailbox.h): what is called within a turn then costs few system calls.
//
// Callbacks run in RunOnce() and Pump(), one at a time, and when a channel is destroyed. They may
// call, destroy their own channel or another one, and must not block. Blocking calls on such a
// channel may be made beside; they go by its socket.
//
// Lives in: whoever holds channels. RunOnce() and Pump(): one thread at a time; the rest is
// thread-safe. Not across a fork. May be used in a compromised process.
#ifndef TRANSPORT_CALLBACK_LOOP_H_
#define TRANSPORT_CALLBACK_LOOP_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "base/unique_fd.h"
#include "transport/looped_lane.h"
#include "transport/shared_slots.h"

namespace capbroker {

class CallbackLoop {
 public:
  static absl::StatusOr<std::shared_ptr<CallbackLoop>> Create();
  CallbackLoop(const CallbackLoop&) = delete;
  CallbackLoop& operator=(const CallbackLoop&) = delete;

  // Runs the callbacks of calls that have ended, a bounded number of them. If there is none it
  // waits first, for `most` at most, or some milliseconds while calls are in flight.
  void RunOnce(absl::Duration most = absl::InfiniteDuration());

  // The same without waiting, for an owner with an event loop of its own. True: there may be more.
  // Once it was false fd() is readable when there is something again. Deadlines and cancellations
  // of calls in flight are looked at here: every 20 ms is often enough.
  bool Pump();
  FdRef fd() const { return epoll_; }

  // Makes a RunOnce() that waits return, or the next one. Any thread.
  void Wake();

  // For a lane that completes here (transport/lane_core.h). Any thread:

  // Watches the lane's socket.
  absl::StatusOr<uint64_t> Add(FdRef socket, std::weak_ptr<transport::LoopedLane> lane)
      ABSL_LOCKS_EXCLUDED(mutex_);
  // Before the socket is closed. Nothing of the lane is called any more when this returns, but what
  // has called this.
  void Remove(uint64_t lane, FdRef socket) ABSL_LOCKS_EXCLUDED(mutex_);
  // Has OnReady() called.
  void Notify(uint64_t lane) ABSL_LOCKS_EXCLUDED(mutex_);
  // Calls for which OnTick() is called.
  void CallBegins();
  void CallEnds() { in_flight_.fetch_sub(1, std::memory_order_relaxed); }

  // Of the mailboxes that the loop's lanes share. A lane begins to ask its service for one: keys of
  // those that there are, one after another; nothing: it waits for its turn, because the mailboxes
  // that others have asked for may be its service's, too.
  std::optional<std::string> BeginJoin() ABSL_LOCKS_EXCLUDED(mutex_);
  // It has asked for nothing, or has no answer.
  void AbandonJoin() ABSL_LOCKS_EXCLUDED(mutex_);
  // TRUST(service): the answer. Null: there is none with that key, or the memory is none.
  std::shared_ptr<transport::SharedSlots> EndJoin(absl::string_view key, FdRef memory)
      ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  using Mailboxes = std::vector<std::shared_ptr<transport::SharedSlots>>;
  struct Watched {
    std::weak_ptr<transport::LoopedLane> lane;
    bool ready = false;  // it stands in `ready_`
  };

  CallbackLoop(UniqueFd epoll, UniqueFd wake);
  bool Turn(int most_ms);
  bool Sleeps();
  void Dispatch(absl::FunctionRef<void()> call) ABSL_LOCKS_EXCLUDED(mutex_);
  bool Collect();
  bool Rest();
  bool RunReady() ABSL_LOCKS_EXCLUDED(mutex_);
  void Run(uint64_t lane) ABSL_LOCKS_EXCLUDED(mutex_);
  void MarkReady(uint64_t lane) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Tick() ABSL_LOCKS_EXCLUDED(mutex_);
  std::shared_ptr<const Mailboxes> mailboxes() ABSL_LOCKS_EXCLUDED(mutex_);

  const UniqueFd epoll_;
  const UniqueFd wake_;
  std::atomic<int> in_flight_{0};
  std::atomic<bool> sleeps_{false};  // without a tick
  // Of the loop's thread.
  bool quiet_ = false;
  unsigned turns_ = 0;
  int64_t ticked_ns_ = 0;

  absl::Mutex mutex_;
  absl::CondVar turned_;
  // While lanes are called: by whom.
  std::thread::id thread_ ABSL_GUARDED_BY(mutex_);
  uint64_t dispatched_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t next_id_ ABSL_GUARDED_BY(mutex_) = 1;
  absl::flat_hash_map<uint64_t, Watched> lanes_ ABSL_GUARDED_BY(mutex_);
  std::vector<uint64_t> ready_ ABSL_GUARDED_BY(mutex_);
  // Lanes that ask, and how many may.
  int joining_ ABSL_GUARDED_BY(mutex_) = 0;
  int may_join_ ABSL_GUARDED_BY(mutex_) = 1;
  std::shared_ptr<const Mailboxes> mailboxes_ ABSL_GUARDED_BY(mutex_) =
      std::make_shared<Mailboxes>();
};

}  // namespace capbroker

#endif  // TRANSPORT_CALLBACK_LOOP_H_
