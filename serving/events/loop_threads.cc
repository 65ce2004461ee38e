#include "serving/events/loop_threads.h"

#include <optional>
#include <system_error>
#include <utility>

#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace capbroker::serving {
namespace {

// How long a handler may hold the leader up while others may have to wait.
constexpr absl::Duration kTick = absl::Milliseconds(1);
// Ticks without a call after which the understudy sleeps.
constexpr int kQuietTicks = 10;

thread_local const LoopThreads* leads = nullptr;
// The turn of the lane that this thread attends.
thread_local std::atomic<uint64_t>* attends = nullptr;

}  // namespace

LoopThreads::LoopThreads(EventLoop* loop, std::function<int()> most)
    : loop_(loop), most_(std::move(most)) {}

LoopThreads::~LoopThreads() {
  std::vector<std::thread> threads;
  {
    absl::MutexLock lock(&mutex_);
    threads.swap(threads_);
  }
  for (std::thread& thread : threads) thread.join();
}

void LoopThreads::Run() {
  leads = this;
  Lead();
  Attend();
}

void LoopThreads::Lead() {
  while (leads == this && !loop_->stopped()) {
    const bool looks = looks_.load();
    if (looks) LookAfterAttended();
    if (loop_->RunOnce(looks ? kTick : absl::InfiniteDuration()) && leads == this) AttendBusyLane();
  }
  if (!loop_->stopped()) return;
  leads = nullptr;
  absl::MutexLock lock(&mutex_);
  stopped_ = true;
  wake_understudy_.SignalAll();
  wake_reserve_.SignalAll();
}

// The life of a thread that does not lead.
void LoopThreads::Attend() {
  absl::MutexLock lock(&mutex_);
  while (!stopped_) {
    if (understudy_) {
      ++reserve_;
      wake_reserve_.Wait(&mutex_);
      --reserve_;
      continue;
    }
    understudy_ = true;
    const bool took_over = Watch();
    understudy_ = false;
    if (!took_over) continue;
    wake_reserve_.Signal();
    leads = this;
    mutex_.Unlock();
    Lead();
    mutex_.Lock();
  }
}

// True: this thread leads now. False: the loop has stopped.
bool LoopThreads::Watch() {
  uint64_t seen = turn_.load();
  int quiet = 0;
  while (!stopped_) {
    if (quiet >= kQuietTicks) {
      watched_.store(false);
      // A leader that set its turn before it could see that: its own test comes after.
      if (turn_.load() == seen) wake_understudy_.Wait(&mutex_);
      watched_.store(true);
      quiet = 0;
    } else {
      wake_understudy_.WaitWithTimeout(&mutex_, kTick);
    }
    if (std::exchange(handed_over_, false)) {
      watched_.store(false);
      return true;
    }
    const uint64_t turn = turn_.load();
    const bool held_up = turn % 2 == 1 && (turn == seen || std::exchange(at_once_, false));
    if (held_up && TakeOver(turn)) return true;
    quiet = turn == seen ? quiet + 1 : 0;
    seen = turn;
  }
  return false;
}

bool LoopThreads::TakeOver(uint64_t turn) {
  if (!turn_.compare_exchange_strong(turn, turn + 1)) return false;
  // The next understudy is another thread's to be.
  watched_.store(false);
  return true;
}

// To the understudy, if there is one. Not within a handler.
bool LoopThreads::HandOver() {
  absl::MutexLock lock(&mutex_);
  if (!understudy_ || handed_over_) return false;
  handed_over_ = true;
  leads = nullptr;
  wake_understudy_.Signal();
  return true;
}

void LoopThreads::AttendBusyLane() {
  if (LeaveToAttending()) return;
  if (!watched_.load()) NeedUnderstudy(/*at_once=*/false);
  if (!HandOver()) return;
  while (AttendWhatIsBusy()) {
  }
}

// True: a thread attends. If its lane is quiet, it has this one next.
bool LoopThreads::LeaveToAttending() {
  std::shared_ptr<Attendance> quiet;
  {
    absl::MutexLock lock(&mutex_);
    if (attended_ == nullptr) return false;
    const int64_t since_ns = absl::GetCurrentTimeNanos() - attended_->served_ns.load();
    if (attended_->beside.load() && since_ns >= absl::ToInt64Nanoseconds(kTick)) quiet = attended_;
  }
  if (quiet == nullptr) return true;
  quiet->swaps.store(true);
  quiet->ended.store(true);
  quiet->lane.watcher->SuspendBeside();
  return true;
}

// True: the lane was given up for one that is busy by now.
bool LoopThreads::AttendWhatIsBusy() {
  const std::optional<EventLoop::Attended> lane = loop_->TakeBusy();
  if (!lane) return false;
  const auto attendance = std::make_shared<Attendance>();
  attendance->lane = *lane;
  {
    absl::MutexLock lock(&mutex_);
    attended_ = attendance;
  }
  attends = &attendance->turn;
  AttendTo(*attendance);
  attends = nullptr;
  EndAttendance(attendance);
  return attendance->swaps.load();
}

void LoopThreads::AttendTo(Attendance& attendance) {
  const EventLoop::Attended& lane = attendance.lane;
  Watcher& watcher = *lane.watcher;
  if (watcher.BeginBeside()) {
    attendance.served_ns.store(absl::GetCurrentTimeNanos());
    attendance.beside.store(true);
    loop_->GiveBack(lane);
    while (!attendance.ended.load() && !loop_->stopped() && watcher.AttendBeside()) {
      attendance.served_ns.store(absl::GetCurrentTimeNanos(), std::memory_order_relaxed);
    }
    return watcher.EndBeside();
  }
  while (lane.away->load() && !loop_->stopped() && watcher.Attend()) {
  }
}

void LoopThreads::EndAttendance(const std::shared_ptr<Attendance>& attendance) {
  attendance->ended.store(true);
  loop_->GiveBack(attendance->lane);
  absl::MutexLock lock(&mutex_);
  if (attended_ != attendance) return;
  attended_ = nullptr;
  looks_.store(false);
}

// By the leader, once in a tick: a handler must not hold up the other calls of its lane.
void LoopThreads::LookAfterAttended() {
  std::shared_ptr<Attendance> attendance;
  {
    absl::MutexLock lock(&mutex_);
    attendance = attended_;
    // A thread whose lane was taken from it may have asked, too: that is no reason to wake.
    if (attendance == nullptr) looks_.store(false);
  }
  if (attendance == nullptr) return;
  const uint64_t turn = attendance->turn.load();
  const absl::Time now = absl::Now();
  if (turn % 2 == 0 || turn != attendance->seen) {
    attendance->seen = turn;
    attendance->since = now;
  } else if (now - attendance->since >= kTick) {
    EndAttendance(attendance);
    if (attendance->beside.load()) attendance->lane.watcher->SuspendBeside();
  }
}

void LoopThreads::NeedUnderstudy(bool at_once) {
  absl::MutexLock lock(&mutex_);
  at_once_ = at_once;
  watched_.store(true);
  if (understudy_) return wake_understudy_.Signal();
  if (reserve_ > 0) return wake_reserve_.Signal();
  // One of them is the thread that leads.
  if (static_cast<int>(threads_.size()) + 1 >= most_()) return;
  try {
    threads_.emplace_back([this] { Attend(); });
  } catch (const std::system_error&) {
    // At the process's bound of threads: the handlers that run will come back.
  }
}

LoopThreads::Held::Held(LoopThreads& threads) : threads_(threads), leads_(leads == &threads) {
  if (attends != nullptr) {
    attends->fetch_add(1);
    if (!threads_.looks_.exchange(true)) threads_.loop_->Wake();
  }
  if (!leads_) return;
  turn_ = threads_.turn_.load(std::memory_order_relaxed) + 1;
  threads_.turn_.store(turn_);
  const bool more = threads_.loop_->HasWork();
  if (more || !threads_.watched_.load()) threads_.NeedUnderstudy(more);
}

LoopThreads::Held::~Held() {
  if (attends != nullptr) attends->fetch_add(1);
  if (!leads_) return;
  // Fails if another thread leads by now.
  if (!threads_.turn_.compare_exchange_strong(turn_, turn_ + 1)) leads = nullptr;
}

}  // namespace capbroker::serving
