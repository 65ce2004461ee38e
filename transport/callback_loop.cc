#include "transport/callback_loop.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>

#include "base/errno_status.h"
#include "transport/lane_socket.h"
#include "transport/packet.h"

namespace capbroker {

using transport::kCancelTickMs;
using transport::LoopedLane;
using transport::SharedMailbox;
using transport::SharedSlots;

namespace {

constexpr uint64_t kWakeId = 0;
// Answers of a mailbox that are collected before it is another one's turn.
constexpr int kAnswersInATurn = 64;
// One turn in so many looks at the sockets, whatever there is in memory.
constexpr unsigned kTurnsBeforeSockets = 16;
// Lanes that may ask for a mailbox at once, once those before have found theirs among the known
// ones.
constexpr int kMostJoining = 16;
constexpr int64_t kTickNs = int64_t{kCancelTickMs} * 1'000'000;

}  // namespace

absl::StatusOr<std::shared_ptr<CallbackLoop>> CallbackLoop::Create() {
  UniqueFd epoll(epoll_create1(EPOLL_CLOEXEC));
  UniqueFd wake(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  epoll_event event = {};
  event.events = EPOLLIN;
  event.data.u64 = kWakeId;
  if (!epoll.valid() || !wake.valid() ||
      epoll_ctl(epoll.get(), EPOLL_CTL_ADD, wake.get(), &event) != 0) {
    return ErrnoToStatus(errno, "create callback loop");
  }
  return std::shared_ptr<CallbackLoop>(new CallbackLoop(std::move(epoll), std::move(wake)));
}

CallbackLoop::CallbackLoop(UniqueFd epoll, UniqueFd wake)
    : epoll_(std::move(epoll)), wake_(std::move(wake)) {}

void CallbackLoop::RunOnce(absl::Duration most) {
  const bool forever = most > absl::Milliseconds(INT_MAX);
  (void)Turn(forever ? -1 : static_cast<int>(absl::ToInt64Milliseconds(most)));
}

bool CallbackLoop::Pump() { return Turn(0); }

// `most_ms`: -1 for ever. True: there may be more.
bool CallbackLoop::Turn(int most_ms) {
  bool busy = false;
  Dispatch([&] {
    busy = Collect();
    busy |= RunReady();
  });
  if (busy && ++turns_ % kTurnsBeforeSockets != 0) return true;
  if (busy || !Rest()) most_ms = 0;
  if (most_ms != 0 && !Sleeps()) {
    most_ms = most_ms < 0 ? kCancelTickMs : std::min(most_ms, kCancelTickMs);
  }
  epoll_event events[64];
  const int count = epoll_wait(epoll_.get(), events, 64, most_ms);
  quiet_ = count == 0 && most_ms != 0;
  sleeps_.store(false);
  if (count > 0) {
    Dispatch([&] {
      for (int i = 0; i < count; ++i) Run(events[i].data.u64);
    });
  }
  Tick();
  return busy || count > 0;
}

// Whether the loop need not tick: there are no calls, and there have been none for a tick. Who
// begins one from now on wakes it.
bool CallbackLoop::Sleeps() {
  if (!quiet_) return false;
  sleeps_.store(true);
  return in_flight_.load() == 0;
}

void CallbackLoop::CallBegins() {
  in_flight_.fetch_add(1);
  if (sleeps_.load()) Wake();
}

// Remove() waits for the end of that.
void CallbackLoop::Dispatch(absl::FunctionRef<void()> call) {
  {
    absl::MutexLock lock(&mutex_);
    thread_ = std::this_thread::get_id();
  }
  call();
  absl::MutexLock lock(&mutex_);
  thread_ = std::thread::id();
  ++dispatched_;
  turned_.SignalAll();
}

bool CallbackLoop::Collect() {
  bool any = false;
  const std::shared_ptr<const Mailboxes> mailboxes = this->mailboxes();
  for (const auto& mailbox : *mailboxes) any |= mailbox->Collect(kAnswersInATurn);
  return any;
}

// False: there is something to do.
bool CallbackLoop::Rest() {
  bool rests = true;
  const std::shared_ptr<const Mailboxes> mailboxes = this->mailboxes();
  for (const auto& mailbox : *mailboxes) rests &= mailbox->Rest();
  absl::MutexLock lock(&mutex_);
  return rests && ready_.empty();
}

bool CallbackLoop::RunReady() {
  std::vector<uint64_t> ready;
  {
    absl::MutexLock lock(&mutex_);
    ready.swap(ready_);
  }
  for (const uint64_t lane : ready) Run(lane);
  return !ready.empty();
}

void CallbackLoop::Run(uint64_t id) {
  if (id == kWakeId) {
    uint64_t value;
    (void)!read(wake_.get(), &value, sizeof value);
    return;
  }
  std::shared_ptr<LoopedLane> lane;
  {
    absl::MutexLock lock(&mutex_);
    const auto found = lanes_.find(id);
    if (found == lanes_.end()) return;
    found->second.ready = false;
    lane = found->second.lane.lock();
  }
  if (lane == nullptr || !lane->OnReady()) return;
  absl::MutexLock lock(&mutex_);
  MarkReady(id);
}

void CallbackLoop::MarkReady(uint64_t id) {
  const auto found = lanes_.find(id);
  if (found == lanes_.end() || std::exchange(found->second.ready, true)) return;
  ready_.push_back(id);
}

// Also forgets mailboxes whose lanes are gone.
void CallbackLoop::Tick() {
  const int64_t now_ns = transport::MonotonicNowNs();
  if (now_ns - ticked_ns_ < kTickNs) return;
  ticked_ns_ = now_ns;
  std::vector<std::shared_ptr<LoopedLane>> lanes;
  std::shared_ptr<const Mailboxes> before;
  {
    absl::MutexLock lock(&mutex_);
    for (const auto& [id, lane] : lanes_) {
      if (std::shared_ptr<LoopedLane> alive = lane.lane.lock()) lanes.push_back(std::move(alive));
    }
    before = mailboxes_;
    const auto unused = [](const std::shared_ptr<SharedSlots>& m) { return m.use_count() == 1; };
    if (std::any_of(before->begin(), before->end(), unused)) {
      auto used = std::make_shared<Mailboxes>(*before);
      // Counted twice by now.
      used->erase(std::remove_if(used->begin(), used->end(),
                                 [](const auto& m) { return m.use_count() == 2; }),
                  used->end());
      mailboxes_ = std::move(used);
    }
  }
  Dispatch([&] {
    for (const std::shared_ptr<LoopedLane>& lane : lanes) lane->OnTick();
  });
}

void CallbackLoop::Wake() {
  const uint64_t one = 1;
  (void)!write(wake_.get(), &one, sizeof one);
}

absl::StatusOr<uint64_t> CallbackLoop::Add(FdRef socket, std::weak_ptr<LoopedLane> lane) {
  absl::MutexLock lock(&mutex_);
  const uint64_t id = next_id_++;
  epoll_event event = {};
  event.events = EPOLLIN | EPOLLET;
  event.data.u64 = id;
  if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, socket.get(), &event) != 0) {
    return ErrnoToStatus(errno, "complete in loop");
  }
  lanes_.emplace(id, Watched{std::move(lane)});
  return id;
}

void CallbackLoop::Remove(uint64_t lane, FdRef socket) {
  {
    absl::MutexLock lock(&mutex_);
    lanes_.erase(lane);
    epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, socket.get(), nullptr);
    const uint64_t dispatched = dispatched_;
    while (thread_ != std::thread::id() && thread_ != std::this_thread::get_id() &&
           dispatched_ == dispatched) {
      turned_.Wait(&mutex_);
    }
  }
  // The packet that was to wake the loop may have gone with the lane.
  Wake();
}

void CallbackLoop::Notify(uint64_t lane) {
  {
    absl::MutexLock lock(&mutex_);
    MarkReady(lane);
    if (thread_ == std::this_thread::get_id()) return;
  }
  Wake();
}

std::optional<std::string> CallbackLoop::BeginJoin() {
  absl::MutexLock lock(&mutex_);
  if (joining_ >= may_join_) return std::nullopt;
  ++joining_;
  std::string keys;
  for (size_t i = 0; i < mailboxes_->size() && i < transport::kMaxJoinKeys; ++i) {
    keys += (*mailboxes_)[i]->key();
  }
  return keys;
}

void CallbackLoop::AbandonJoin() {
  absl::MutexLock lock(&mutex_);
  --joining_;
}

std::shared_ptr<SharedSlots> CallbackLoop::EndJoin(absl::string_view key, FdRef memory) {
  absl::MutexLock lock(&mutex_);
  --joining_;
  if (!memory.valid()) {
    may_join_ = std::min(may_join_ * 2, kMostJoining);
    const auto found =
        std::find_if(mailboxes_->begin(), mailboxes_->end(),
                     [&](const std::shared_ptr<SharedSlots>& m) { return m->key() == key; });
    return found == mailboxes_->end() ? nullptr : *found;
  }
  // Of a service whose other lanes may be about to ask: their turn is when its key is known.
  may_join_ = 1;
  absl::StatusOr<std::unique_ptr<SharedMailbox>> mapped = SharedMailbox::Map(memory);
  if (!mapped.ok()) return nullptr;
  auto shared = std::make_shared<SharedSlots>(*std::move(mapped), std::string(key));
  auto mailboxes = std::make_shared<Mailboxes>(*mailboxes_);
  mailboxes->push_back(shared);
  mailboxes_ = std::move(mailboxes);
  return shared;
}

std::shared_ptr<const CallbackLoop::Mailboxes> CallbackLoop::mailboxes() {
  absl::MutexLock lock(&mutex_);
  return mailboxes_;
}

}  // namespace capbroker
