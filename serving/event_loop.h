// The event loop of the broker and of service processes: epoll(7), timers, and as
// many threads as its owner lets call RunOnce().
//
// It waits in the kernel and never polls. INVARIANT(nobody-spins-for-a-stranger)
//
// Lives in: broker, service processes. Add, Remove, Modify and Post may be called
// from any thread; a watcher is called by one thread for one event, and by
// several at once for several events.
#ifndef SERVING_EVENT_LOOP_H_
#define SERVING_EVENT_LOOP_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "base/unique_fd.h"

namespace capbroker::serving {

// Something that waits for a descriptor.
class Watcher {
 public:
  virtual ~Watcher() = default;
  // `events`: EPOLLIN, EPOLLOUT, EPOLLHUP, ... Edge-triggered: the watcher reads
  // until there is no more.
  virtual void OnReady(uint32_t events) = 0;
};

class EventLoop {
 public:
  static absl::StatusOr<std::unique_ptr<EventLoop>> Create();

  // Watches `fd`, which the caller keeps open until Remove(). The loop shares
  // ownership of the watcher, so that an event under way outlives Remove().
  // Returns the watch's id.
  absl::StatusOr<uint64_t> Add(FdRef fd, uint32_t events, std::shared_ptr<Watcher> watcher);
  // The same with a function.
  absl::StatusOr<uint64_t> Add(FdRef fd, uint32_t events, std::function<void(uint32_t)> ready);
  absl::Status Modify(uint64_t watch, FdRef fd, uint32_t events);
  // To be called before the descriptor is closed.
  void Remove(uint64_t watch, FdRef fd);

  // Runs `function` once on a thread of the loop, not before `when`. Returns an
  // id for Cancel().
  uint64_t RunAt(absl::Time when, std::function<void()> function);
  void Cancel(uint64_t timer);
  void Post(std::function<void()> function) { RunAt(absl::InfinitePast(), std::move(function)); }

  // Waits for one event, at most until the next timer, and handles it.
  void RunOnce();

  // Makes every Run() return.
  void Stop();
  // RunOnce() until Stop().
  void Run();

  // Threads that wait in RunOnce() now.
  int waiting() const;

 private:
  explicit EventLoop(UniqueFd epoll, UniqueFd wake);
  bool RunDueTimer() ABSL_LOCKS_EXCLUDED(mutex_);
  int TimeoutMs() ABSL_LOCKS_EXCLUDED(mutex_);
  void Wake();

  const UniqueFd epoll_;
  const UniqueFd wake_;
  std::atomic<int> waiting_{0};
  std::atomic<bool> stopped_{false};
  std::atomic<bool> has_timers_{false};
  absl::Mutex mutex_;
  uint64_t next_id_ ABSL_GUARDED_BY(mutex_) = 1;
  absl::flat_hash_map<uint64_t, std::shared_ptr<Watcher>> watchers_ ABSL_GUARDED_BY(mutex_);
  std::map<std::pair<absl::Time, uint64_t>, std::function<void()>> timers_
      ABSL_GUARDED_BY(mutex_);
};

}  // namespace capbroker::serving

#endif  // SERVING_EVENT_LOOP_H_
