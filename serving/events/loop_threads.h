// Which thread waits in a process's event loop, and who takes over while it is held up.
//
// One thread leads: it waits for events and handles them, calls included. That is the
// fastest a call can be served, as long as handlers come back soon. One that does not
// must delay nobody else, so a second thread, the understudy, looks every millisecond
// whether the leader is still in the handler that it was in, and then leads in its place.
// Work that waits already is worth more: then the understudy leads at once.
//
// A leader that has had calls of one lane alone for a while leaves the lead to the understudy and
// attends that lane: it blocks in receiving from it, which is the shortest way there is, or looks
// for the next call for some microseconds, as long as calls pay for that (transport/polling.h). A
// handler there that does not come back gives the lane back to the loop, and so does a lane
// that is quiet for some milliseconds, or for one when another lane is busy. A lane with a mailbox
// (transport/mailbox.h) is attended there, and the loop has the socket meanwhile.
//
// The understudy sleeps while nothing is called, and does not exist before a handler
// that may block was first called, or a lane was busy. INVARIANT(nobody-spins-for-a-stranger)
//
// Lives in: service processes, the broker (which has one thread and no understudy).
#ifndef SERVING_EVENTS_LOOP_THREADS_H_
#define SERVING_EVENTS_LOOP_THREADS_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "serving/events/event_loop.h"

namespace capbroker::serving {

class LoopThreads {
 public:
  // `most` tells how many threads there may be now. `loop` outlives this.
  LoopThreads(EventLoop* loop, std::function<int()> most);
  // After the loop was stopped: waits for the threads, handlers included.
  ~LoopThreads();

  // Leads, and later attends, on this thread until the loop is stopped.
  void Run();

  // Around a handler that may block. Any thread; means something on one that leads or
  // attends.
  class Held {
   public:
    explicit Held(LoopThreads& threads);
    ~Held();
    Held(const Held&) = delete;
    Held& operator=(const Held&) = delete;

   private:
    LoopThreads& threads_;
    const bool leads_;
    uint64_t turn_ = 0;
  };

 private:
  // A lane that a thread attends.
  struct Attendance {
    EventLoop::Attended lane;
    std::atomic<bool> beside{false};
    // When it was last called, in nanoseconds since the epoch; while `beside`.
    std::atomic<int64_t> served_ns{0};
    // Its thread is to attend the lane that is busy now.
    std::atomic<bool> swaps{false};
    // The thread is not to go on.
    std::atomic<bool> ended{false};
    // Odd while its thread is in a handler that may block.
    std::atomic<uint64_t> turn{0};
    // Of the leader, who looks: the turn that it saw last, and since when.
    uint64_t seen = 0;
    absl::Time since;
  };

  void Lead();
  bool HandOver() ABSL_LOCKS_EXCLUDED(mutex_);
  void AttendBusyLane() ABSL_LOCKS_EXCLUDED(mutex_);
  bool LeaveToAttending() ABSL_LOCKS_EXCLUDED(mutex_);
  bool AttendWhatIsBusy() ABSL_LOCKS_EXCLUDED(mutex_);
  void AttendTo(Attendance& attendance);
  void LookAfterAttended() ABSL_LOCKS_EXCLUDED(mutex_);
  void EndAttendance(const std::shared_ptr<Attendance>& attendance) ABSL_LOCKS_EXCLUDED(mutex_);
  void Attend() ABSL_LOCKS_EXCLUDED(mutex_);
  bool Watch() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool TakeOver(uint64_t turn);
  void NeedUnderstudy(bool at_once) ABSL_LOCKS_EXCLUDED(mutex_);

  EventLoop* const loop_;
  const std::function<int()> most_;
  // Odd while the leader is in a handler. Only the leader changes it, or who takes over.
  std::atomic<uint64_t> turn_{0};
  // Whether an understudy looks, or there can be none.
  std::atomic<bool> watched_{false};
  // Whether the attended lane has handlers that may block, so that the leader has to look.
  std::atomic<bool> looks_{false};

  absl::Mutex mutex_;
  absl::CondVar wake_understudy_;
  absl::CondVar wake_reserve_;
  bool understudy_ ABSL_GUARDED_BY(mutex_) = false;
  bool at_once_ ABSL_GUARDED_BY(mutex_) = false;
  bool handed_over_ ABSL_GUARDED_BY(mutex_) = false;
  std::shared_ptr<Attendance> attended_ ABSL_GUARDED_BY(mutex_);  // one at a time
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
  int reserve_ ABSL_GUARDED_BY(mutex_) = 0;
  std::vector<std::thread> threads_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace capbroker::serving

#endif  // SERVING_EVENTS_LOOP_THREADS_H_
