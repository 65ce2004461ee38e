#include "serving/events/event_loop.h"

#include <poll.h>
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
// One time in so many the others are asked first.
constexpr unsigned kPollsBeforeOthers = 16;
// The same for who has work in an inbox.
constexpr unsigned kTurnsBeforeOthers = 16;
// After so many events in a row a descriptor is busy. What that brings, a second thread, is some
// ten pages of memory, and not worth it for who calls now and then.
constexpr unsigned kBusyPolls = 256;
constexpr uint32_t kEnded = EPOLLHUP | EPOLLRDHUP | EPOLLERR;

// One set of bits for both.
static_assert(POLLIN == EPOLLIN && POLLHUP == EPOLLHUP && POLLERR == EPOLLERR &&
              POLLRDHUP == EPOLLRDHUP);

class FunctionWatcher : public Watcher {
 public:
  explicit FunctionWatcher(std::function<Left(uint32_t)> ready) : ready_(std::move(ready)) {}
  Left OnReady(uint32_t events) override { return ready_(events); }

 private:
  const std::function<Left(uint32_t)> ready_;
};

bool ServeAll(const std::vector<std::shared_ptr<Inbox>>& inboxes) {
  bool served = false;
  for (const std::shared_ptr<Inbox>& inbox : inboxes) served |= inbox->Serve();
  return served;
}

bool RestAll(const std::vector<std::shared_ptr<Inbox>>& inboxes) {
  bool rests = true;
  for (const std::shared_ptr<Inbox>& inbox : inboxes) rests &= inbox->Rest();
  return rests;
}

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

bool EventLoop::Arm(int operation, uint64_t watch, int fd, uint32_t events) {
  epoll_event event = {};
  event.events = events | EPOLLET;
  event.data.u64 = watch;
  return epoll_ctl(epoll_.get(), operation, fd, &event) == 0;
}

absl::StatusOr<uint64_t> EventLoop::Add(FdRef fd, uint32_t events,
                                        std::shared_ptr<Watcher> watcher) {
  uint64_t id;
  {
    absl::MutexLock lock(&mutex_);
    id = next_id_++;
    watches_.emplace(id, Watch{std::move(watcher), fd.get(), events});
  }
  if (!Arm(EPOLL_CTL_ADD, id, fd.get(), events)) {
    const absl::Status failed = ErrnoToStatus(errno, "watch descriptor");
    absl::MutexLock lock(&mutex_);
    watches_.erase(id);
    return failed;
  }
  return id;
}

absl::StatusOr<uint64_t> EventLoop::Add(FdRef fd, uint32_t events,
                                        std::function<Left(uint32_t)> ready) {
  return Add(fd, events, std::make_shared<FunctionWatcher>(std::move(ready)));
}

absl::Status EventLoop::Modify(uint64_t watch, uint32_t events) {
  absl::MutexLock lock(&mutex_);
  const auto found = watches_.find(watch);
  if (found == watches_.end()) return absl::NotFoundError("watch descriptor: not watched");
  found->second.events = events;
  if (!ArmAgain(watch, found->second)) return ErrnoToStatus(errno, "watch descriptor");
  return absl::OkStatus();
}

// Also if it was away.
bool EventLoop::ArmAgain(uint64_t id, Watch& watch) {
  const bool away = watch.away != nullptr;
  if (away) std::exchange(watch.away, nullptr)->store(false);
  return Arm(away ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, id, watch.fd, watch.events);
}

void EventLoop::Remove(uint64_t watch, FdRef fd) {
  std::shared_ptr<Watcher> removed;
  absl::MutexLock lock(&mutex_);
  epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd.get(), nullptr);
  if (recent_.watch == watch) recent_ = Recent();
  const auto found = watches_.find(watch);
  if (found == watches_.end()) return;
  if (found->second.away != nullptr) found->second.away->store(false);
  removed = std::move(found->second.watcher);  // destroyed without the lock
  watches_.erase(found);
}

void EventLoop::Add(std::shared_ptr<Inbox> inbox) {
  absl::MutexLock lock(&mutex_);
  auto inboxes = std::make_shared<Inboxes>(*inboxes_);
  inboxes->push_back(std::move(inbox));
  inboxes_ = std::move(inboxes);
  has_inboxes_.store(true);
}

void EventLoop::Remove(const std::shared_ptr<Inbox>& inbox) {
  absl::MutexLock lock(&mutex_);
  auto inboxes = std::make_shared<Inboxes>(*inboxes_);
  inboxes->erase(std::remove(inboxes->begin(), inboxes->end(), inbox), inboxes->end());
  has_inboxes_.store(!inboxes->empty());
  inboxes_ = std::move(inboxes);
}

// Null if there is none.
std::shared_ptr<const EventLoop::Inboxes> EventLoop::inboxes() {
  if (!has_inboxes_.load()) return nullptr;
  absl::MutexLock lock(&mutex_);
  return inboxes_;
}

uint64_t EventLoop::RunAt(absl::Time when, std::function<void()> function) {
  uint64_t id;
  {
    absl::MutexLock lock(&mutex_);
    id = next_id_++;
    timers_.emplace(std::make_pair(when, id), std::move(function));
    has_timers_.store(true);
  }
  // Who begins to wait from here on looks at the timers first.
  if (waiting_.load() > 0) Wake();
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
  if (!has_timers_.load()) return -1;
  absl::MutexLock lock(&mutex_);
  if (timers_.empty()) return -1;
  const absl::Duration left = timers_.begin()->first.first - absl::Now();
  if (left <= absl::ZeroDuration()) return 0;
  return static_cast<int>(std::min<int64_t>(absl::ToInt64Milliseconds(left) + 1, 60'000));
}

bool EventLoop::WaitForAny(int timeout_ms, Ready& ready) {
  epoll_event event;
  if (epoll_wait(epoll_.get(), &event, 1, timeout_ms) <= 0) return false;
  ready = {event.data.u64, event.events};
  return true;
}

// What it left is edge-triggered and would not be told again.
void EventLoop::ArmRecent() {
  if (!recent_.more) return;
  recent_.more = false;
  const auto found = watches_.find(recent_.watch);
  if (found == watches_.end()) return;
  (void)ArmAgain(recent_.watch, found->second);
}

// No descriptor if it is not to be polled by itself.
EventLoop::Recent EventLoop::RecentToPoll() {
  absl::MutexLock lock(&mutex_);
  // Two threads that poll one descriptor would both wake.
  if (recent_.repeated && waiting_.load() == 1) {
    ++recent_.polls;
    return recent_;
  }
  ArmRecent();
  return Recent();
}

bool EventLoop::Wait(int timeout_ms, Ready& ready) {
  const Recent recent = RecentToPoll();
  if (recent.fd < 0) return WaitForAny(timeout_ms, ready);
  if (recent.polls % kPollsBeforeOthers == 0 && WaitForAny(0, ready)) return true;
  // The descriptor may be closed by now, and its number be another's: at worst
  // this wakes for nothing.
  pollfd polled[] = {{recent.fd, POLLIN | POLLRDHUP, 0}, {epoll_.get(), POLLIN, 0}};
  if (poll(polled, 2, timeout_ms) <= 0) return false;
  if (polled[0].revents == 0) return WaitForAny(0, ready);
  ready = {recent.watch, static_cast<uint32_t>(polled[0].revents)};
  return true;
}

// Whether the descriptor is busy.
bool EventLoop::Dispatch(const Ready& ready) {
  std::shared_ptr<Watcher> watcher;
  bool busy = false;
  {
    absl::MutexLock lock(&mutex_);
    const auto found = watches_.find(ready.watch);
    if (found == watches_.end()) return false;
    watcher = found->second.watcher;
    if ((ready.events & kEnded) != 0) {
      // It stays ready: polled, it would wake the thread for ever.
      if (recent_.watch != ready.watch) ArmRecent();
      recent_ = Recent();
    } else if (recent_.watch == ready.watch) {
      recent_.repeated = true;
      recent_.more = false;
      busy = recent_.polls > 0 && recent_.polls % kBusyPolls == 0;
    } else {
      ArmRecent();
      recent_ = {.watch = ready.watch, .fd = found->second.fd};
    }
  }
  if (watcher->OnReady(ready.events) == Left::kNothing) return busy;
  absl::MutexLock lock(&mutex_);
  if (recent_.watch == ready.watch) {
    recent_.more = true;
  } else if (const auto found = watches_.find(ready.watch); found != watches_.end()) {
    (void)ArmAgain(ready.watch, found->second);
  }
  return busy;
}

std::optional<EventLoop::Attended> EventLoop::TakeBusy() {
  absl::MutexLock lock(&mutex_);
  const auto found = watches_.find(recent_.watch);
  if (found == watches_.end() || !recent_.repeated || !found->second.watcher->BeginAttending()) {
    return std::nullopt;
  }
  epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, found->second.fd, nullptr);
  found->second.away = std::make_shared<std::atomic<bool>>(true);
  recent_ = Recent();
  return Attended{found->first, found->second.watcher, found->second.away};
}

void EventLoop::GiveBack(const Attended& attended) {
  absl::MutexLock lock(&mutex_);
  const auto found = watches_.find(attended.watch);
  if (found == watches_.end() || found->second.away != attended.away) return;
  (void)ArmAgain(found->first, found->second);
}

bool EventLoop::RunOnce(absl::Duration most) {
  if (RunDueTimer()) return false;
  const std::shared_ptr<const Inboxes> inboxes = this->inboxes();
  // Not both in one turn: a handler may have held this thread up, and another one wait meanwhile,
  // who is to have what wakes it.
  const bool others_turn =
      inboxes != nullptr && turns_of_inboxes_.fetch_add(1) % kTurnsBeforeOthers == 0;
  if (inboxes != nullptr && !others_turn && ServeAll(*inboxes)) return false;
  // Before the timers are looked at: RunAt() adds one first, and then asks who waits.
  waiting_.fetch_add(1);
  int timeout = TimeoutMs();
  if (most != absl::InfiniteDuration()) {
    const int most_ms = static_cast<int>(absl::ToInt64Milliseconds(most));
    timeout = timeout < 0 ? most_ms : std::min(timeout, most_ms);
  }
  if (others_turn || (inboxes != nullptr && !RestAll(*inboxes))) timeout = 0;
  Ready ready;
  const bool any = !stopped_.load() && Wait(timeout, ready);
  waiting_.fetch_sub(1);
  if (!any) return false;
  if (ready.watch != kWakeId) return Dispatch(ready);
  // A stopped loop keeps the event for the next thread that waits.
  if (stopped_.load()) {
    Wake();
    return false;
  }
  uint64_t value;
  (void)!read(wake_.get(), &value, sizeof value);
  return false;
}

void EventLoop::Wake() {
  const uint64_t one = 1;
  (void)!write(wake_.get(), &one, sizeof one);
}

void EventLoop::Stop() {
  stopped_.store(true);
  Wake();
}

bool EventLoop::HasWork() {
  if (const std::shared_ptr<const Inboxes> inboxes = this->inboxes()) {
    for (const auto& inbox : *inboxes) {
      if (inbox->HasWork()) return true;
    }
  }
  pollfd polled = {epoll_.get(), POLLIN, 0};
  return TimeoutMs() == 0 || poll(&polled, 1, 0) > 0;
}

}  // namespace capbroker::serving
