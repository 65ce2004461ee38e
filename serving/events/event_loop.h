// The event loop of the broker and of service processes: epoll(7) and timers.
//
// It waits in the kernel and never spins. INVARIANT(nobody-spins-for-a-stranger)
//
// Descriptors take turns: a watcher does a bounded piece of work for each event and
// says whether there may be more, so that no peer that never stops sending keeps the
// others from theirs.
//
// A thread that waits alone, and whose last events were all of one descriptor, waits for
// that one with poll(2), beside the epoll descriptor: the kernel then lets it run on the
// CPU of the thread that wakes it, which epoll(7) does not, and a round trip is so a
// switch of threads and not the waking of a CPU.
//
// Lives in: broker, service processes. Thread-safe. A watcher is called by one thread for
// one event, and by several at once if several threads call RunOnce().
#ifndef SERVING_EVENTS_EVENT_LOOP_H_
#define SERVING_EVENTS_EVENT_LOOP_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "base/unique_fd.h"

namespace capbroker::serving {

// What a watcher leaves behind when its turn ends.
enum class Left {
  kNothing,    // it has read until there was no more
  kMaybeMore,  // it is called again, after the others that wait
};

// Something that waits for a descriptor.
class Watcher {
 public:
  virtual ~Watcher() = default;
  // `events`: EPOLLIN, EPOLLOUT, EPOLLHUP, ... Edge-triggered. Does not work without
  // bound on what a peer sends.
  virtual Left OnReady(uint32_t events) = 0;

  // Of a descriptor that can be attended, see EventLoop::TakeBusy(): whether it can be now.
  virtual bool BeginAttending() { return false; }
  // Blocks until something came, for some milliseconds at most, and handles it. False: nothing
  // did, or it is the end.
  virtual bool Attend() { return false; }

  // Attending can be waiting beside the descriptor, which the loop then goes on watching. Whether
  // it is this time; by the thread that attends, as what follows: as Attend(), and at the end.
  virtual bool BeginBeside() { return false; }
  virtual bool AttendBeside() { return false; }
  virtual void EndBeside() {}
  // By another thread, because that one is held up in a handler or is needed elsewhere: it is
  // woken, and the loop is to have what comes.
  virtual void SuspendBeside() {}
};

// Memory where peers leave work without waking anybody as long as the loop is awake.
class Inbox {
 public:
  virtual ~Inbox() = default;
  // Does a bounded part of what is there. False: nothing was.
  virtual bool Serve() = 0;
  // The loop is about to wait. From now on peers wake it by what they send to a descriptor that it
  // watches. False: something is there.
  virtual bool Rest() = 0;
  virtual bool HasWork() const = 0;
};

class EventLoop {
 public:
  static absl::StatusOr<std::unique_ptr<EventLoop>> Create();

  // Watches `fd`, which the caller keeps open until Remove(). The loop shares
  // ownership of the watcher, so that an event under way outlives Remove().
  // Returns the watch's id.
  absl::StatusOr<uint64_t> Add(FdRef fd, uint32_t events, std::shared_ptr<Watcher> watcher);
  // The same with a function.
  absl::StatusOr<uint64_t> Add(FdRef fd, uint32_t events, std::function<Left(uint32_t)> ready);
  // Watches for other events, and for those that stand already.
  absl::Status Modify(uint64_t watch, uint32_t events);
  // To be called before the descriptor is closed.
  void Remove(uint64_t watch, FdRef fd);

  // Looks at `inbox` whenever it is about to wait. A thread that has been woken for it calls
  // RunOnce() again, or another one does.
  void Add(std::shared_ptr<Inbox> inbox);
  void Remove(const std::shared_ptr<Inbox>& inbox);

  // Runs `function` once on a thread of the loop, not before `when`. Returns an
  // id for Cancel().
  uint64_t RunAt(absl::Time when, std::function<void()> function);
  void Cancel(uint64_t timer);
  void Post(std::function<void()> function) { RunAt(absl::InfinitePast(), std::move(function)); }

  // Waits for one event, at most until the next timer or `most`, and handles it. True: TakeBusy()
  // may have something.
  bool RunOnce(absl::Duration most = absl::InfiniteDuration());

  // A descriptor that a thread attends: it blocks in receiving from that one, and the loop does
  // not watch it. That spares a system call and the loop's bookkeeping for each packet, and is for
  // a descriptor whose events have been the only ones for a while.
  struct Attended {
    uint64_t watch = 0;
    std::shared_ptr<Watcher> watcher;
    // False once the loop watches again: it was given back, modified or removed. Both may
    // read for a moment.
    std::shared_ptr<std::atomic<bool>> away;
  };
  std::optional<Attended> TakeBusy() ABSL_LOCKS_EXCLUDED(mutex_);
  void GiveBack(const Attended& attended) ABSL_LOCKS_EXCLUDED(mutex_);

  // Makes a RunOnce() that waits return.
  void Wake();

  // Whether RunOnce() would find something to do at once.
  bool HasWork();

  // Ends every RunOnce(), now and later.
  void Stop();
  bool stopped() const { return stopped_.load(std::memory_order_relaxed); }

 private:
  struct Watch {
    std::shared_ptr<Watcher> watcher;
    int fd;
    uint32_t events;
    std::shared_ptr<std::atomic<bool>> away = nullptr;  // while it is attended
  };
  // The watch whose event was the last.
  struct Recent {
    uint64_t watch = 0;
    int fd = -1;
    bool repeated = false;  // so was the one before
    unsigned polls = 0;
    bool more = false;  // see Left; it was not armed again yet
  };
  struct Ready {
    uint64_t watch;
    uint32_t events;
  };

  explicit EventLoop(UniqueFd epoll, UniqueFd wake);
  bool Wait(int timeout_ms, Ready& ready) ABSL_LOCKS_EXCLUDED(mutex_);
  bool WaitForAny(int timeout_ms, Ready& ready);
  Recent RecentToPoll() ABSL_LOCKS_EXCLUDED(mutex_);
  bool Dispatch(const Ready& ready) ABSL_LOCKS_EXCLUDED(mutex_);
  void ArmRecent() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool Arm(int operation, uint64_t watch, int fd, uint32_t events);
  bool RunDueTimer() ABSL_LOCKS_EXCLUDED(mutex_);
  bool ArmAgain(uint64_t id, Watch& watch) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  int TimeoutMs() ABSL_LOCKS_EXCLUDED(mutex_);
  using Inboxes = std::vector<std::shared_ptr<Inbox>>;
  std::shared_ptr<const Inboxes> inboxes() ABSL_LOCKS_EXCLUDED(mutex_);

  const UniqueFd epoll_;
  const UniqueFd wake_;
  std::atomic<int> waiting_{0};
  std::atomic<bool> stopped_{false};
  std::atomic<bool> has_timers_{false};
  std::atomic<bool> has_inboxes_{false};
  std::atomic<unsigned> turns_of_inboxes_{0};
  absl::Mutex mutex_;
  uint64_t next_id_ ABSL_GUARDED_BY(mutex_) = 1;
  absl::flat_hash_map<uint64_t, Watch> watches_ ABSL_GUARDED_BY(mutex_);
  Recent recent_ ABSL_GUARDED_BY(mutex_);
  std::shared_ptr<const Inboxes> inboxes_ ABSL_GUARDED_BY(mutex_) = std::make_shared<Inboxes>();
  std::map<std::pair<absl::Time, uint64_t>, std::function<void()>> timers_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace capbroker::serving

#endif  // SERVING_EVENTS_EVENT_LOOP_H_
