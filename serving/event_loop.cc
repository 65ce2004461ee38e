#include "serving/event_loop.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/errno_status.h"

namespace capbroker::serving {
namespace {

constexpr uint64_t kWakeId = 0;

class FunctionWatcher : public Watcher {
 public:
  explicit FunctionWatcher(std::function<void(uint32_t)> ready) : ready_(std::move(ready)) {}
  void OnReady(uint32_t events) override { ready_(events); }

 private:
  const std::function<void(uint32_t)> ready_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<EventLoop>> EventLoop::Create() {
  UniqueFd epoll(epoll_create1(EPOLL_CLOEXEC));
  UniqueFd wake(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!epoll.valid() || !wake.valid()) return ErrnoToStatus(errno, "create event loop");
  epoll_event event = {};
  event.events = EPOLLIN | EPOLLET;
  event.data.u64 = kWakeId;
  if (epoll_ctl(epoll.get(), EPOLL_CTL_ADD, wake.get(), &event) != 0) {
    return ErrnoToStatus(errno, "create event loop");
  }
  return std::unique_ptr<EventLoop>(new EventLoop(std::move(epoll), std::move(wake)));
}

EventLoop::EventLoop(UniqueFd epoll, UniqueFd wake)
    : epoll_(std::move(epoll)), wake_(std::move(wake)) {}

absl::StatusOr<uint64_t> EventLoop::Add(FdRef fd, uint32_t events,
                                        std::shared_ptr<Watcher> watcher) {
  uint64_t id;
  {
    absl::MutexLock lock(&mutex_);
    id = next_id_++;
    watchers_.emplace(id, std::move(watcher));
  }
  epoll_event event = {};
  event.events = events | EPOLLET;
  event.data.u64 = id;
  if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd.get(), &event) != 0) {
    const absl::Status failed = ErrnoToStatus(errno, "watch descriptor");
    absl::MutexLock lock(&mutex_);
    watchers_.erase(id);
    return failed;
  }
  return id;
}

absl::StatusOr<uint64_t> EventLoop::Add(FdRef fd, uint32_t events,
                                        std::function<void(uint32_t)> ready) {
  return Add(fd, events, std::make_shared<FunctionWatcher>(std::move(ready)));
}

absl::Status EventLoop::Modify(uint64_t watch, FdRef fd, uint32_t events) {
  epoll_event event = {};
  event.events = events | EPOLLET;
  event.data.u64 = watch;
  if (epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, fd.get(), &event) != 0) {
    return ErrnoToStatus(errno, "watch descriptor");
  }
  return absl::OkStatus();
}

void EventLoop::Remove(uint64_t watch, FdRef fd) {
  epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd.get(), nullptr);
  std::shared_ptr<Watcher> removed;
  absl::MutexLock lock(&mutex_);
  const auto found = watchers_.find(watch);
  if (found == watchers_.end()) return;
  removed = std::move(found->second);  // destroyed without the lock
  watchers_.erase(found);
}

uint64_t EventLoop::RunAt(absl::Time when, std::function<void()> function) {
  uint64_t id;
  {
    absl::MutexLock lock(&mutex_);
    id = next_id_++;
    timers_.emplace(std::make_pair(when, id), std::move(function));
    has_timers_.store(true, std::memory_order_release);
  }
  Wake();
  return id;
}

void EventLoop::Cancel(uint64_t timer) {
  absl::MutexLock lock(&mutex_);
  const auto found = std::find_if(timers_.begin(), timers_.end(),
                                  [timer](const auto& t) { return t.first.second == timer; });
  if (found != timers_.end()) timers_.erase(found);
}

bool EventLoop::RunDueTimer() {
  if (!has_timers_.load(std::memory_order_acquire)) return false;
  std::function<void()> due;
  {
    absl::MutexLock lock(&mutex_);
    const auto first = timers_.begin();
    if (first == timers_.end()) {
      has_timers_.store(false, std::memory_order_release);
      return false;
    }
    if (first->first.first > absl::Now()) return false;
    due = std::move(first->second);
    timers_.erase(first);
  }
  due();
  return true;
}

int EventLoop::TimeoutMs() {
  if (!has_timers_.load(std::memory_order_acquire)) return -1;
  absl::MutexLock lock(&mutex_);
  if (timers_.empty()) return -1;
  const absl::Duration left = timers_.begin()->first.first - absl::Now();
  if (left <= absl::ZeroDuration()) return 0;
  return static_cast<int>(std::min<int64_t>(absl::ToInt64Milliseconds(left) + 1, 60'000));
}

void EventLoop::RunOnce() {
  if (RunDueTimer()) return;
  const int timeout = TimeoutMs();
  epoll_event event;
  waiting_.fetch_add(1);
  const int count = stopped_.load() ? 0 : epoll_wait(epoll_.get(), &event, 1, timeout);
  waiting_.fetch_sub(1);
  if (count <= 0) return;
  if (event.data.u64 == kWakeId) {
    // A stopped loop keeps the event for the next thread that waits.
    if (stopped_.load()) return Wake();
    uint64_t value;
    (void)!read(wake_.get(), &value, sizeof value);
    return;
  }
  std::shared_ptr<Watcher> watcher;
  {
    absl::MutexLock lock(&mutex_);
    const auto found = watchers_.find(event.data.u64);
    if (found == watchers_.end()) return;
    watcher = found->second;
  }
  watcher->OnReady(event.events);
}

void EventLoop::Wake() {
  const uint64_t one = 1;
  (void)!write(wake_.get(), &one, sizeof one);
}

void EventLoop::Stop() {
  stopped_.store(true);
  Wake();
}

void EventLoop::Run() {
  while (!stopped_.load()) RunOnce();
}

int EventLoop::waiting() const { return waiting_.load(); }

}  // namespace capbroker::serving
