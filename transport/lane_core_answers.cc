#include <sys/socket.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "transport/lane_core.h"
#include "transport/mailbox.h"
#include "transport/message_bytes.h"

namespace capbroker::transport {
namespace {

constexpr int64_t kTickNs = int64_t{kCancelTickMs} * 1'000'000;
// What a peer may send at once before an owner with an event loop turns to others.
constexpr int kPacketsInATurn = 16;

}  // namespace

// Until a posted call is done, or is to be waited for at the socket.
absl::Status LaneCore::AwaitPosted(const LaneRequest& request, PendingCall& call,
                                   absl::FunctionRef<bool()> cancelled) {
  Mailbox& mailbox = *call.place.mailbox;
  while (true) {
    int64_t most_ns = kTickNs;
    if (call.deadline_ns != 0) most_ns = std::min(most_ns, call.deadline_ns - MonotonicNowNs());
    const Mailbox::Answer answer = posting_.Wait(call.place, std::max<int64_t>(most_ns, 0));
    if (answer == Mailbox::Answer::kHere) {
      char bytes[Mailbox::kCapacity];
      absl::StatusOr<ReceivedPacket> packet = posting_.Read(call.place, call.id, bytes);
      if (packet.ok()) Consume(*packet, call);
      absl::MutexLock lock(&mutex_);
      if (packet.ok()) {
        calls_.Complete(call);
      } else {
        FailAll(absl::UnavailableError(packet.status().message()));
      }
      return absl::OkStatus();
    }
    if (answer == Mailbox::Answer::kOnLane) {
      call.place.on_lane = true;
      return absl::OkStatus();
    }
    absl::MutexLock lock(&mutex_);
    LookAtSocket();
    if (FailIfGivenUp(call, cancelled)) return absl::OkStatus();
    if (posting_.has(mailbox)) continue;
    // Its successor knows nothing of a mailbox.
    if (!mailbox.Withdraw(call.place.slot)) {
      return absl::UnavailableError("the service process has ended");
    }
    posting_.Leave(call.place);
    break;
  }
  return SendRequest(request, call, cancelled);
}

// The socket tells what has become of the service.
void LaneCore::LookAtSocket() {
  if (led_) return;
  Lead(nullptr, Blocking::kDontWait);
  PassLeadership();
}

// True: nobody waits for the call any more.
bool LaneCore::FailIfGivenUp(PendingCall& call, absl::FunctionRef<bool()> cancelled) {
  if (call.done) return true;
  const absl::Status late = LateOrCancelled(call, cancelled);
  if (late.ok()) return false;
  // Or the service might hear of the end before it takes the request.
  if (call.place.posted) (void)call.place.mailbox->Withdraw(call.place.slot);
  SendCancel(call.id);
  calls_.Fail(call, late);
  return true;
}

// Sleeps, or leads, until `arrived`. A call that is late or cancelled is failed.
void LaneCore::WaitUntil(PendingCall& call, absl::FunctionRef<bool()> cancelled,
                         absl::FunctionRef<bool()> arrived) {
  bool first = true;
  while (!arrived() && !call.done) {
    if (!first && FailIfGivenUp(call, cancelled)) break;
    first = false;
    if (!led_) {
      Lead(&call, Blocking::kWait);
      continue;
    }
    int64_t wait = kTickNs;
    if (call.deadline_ns != 0) wait = std::min(wait, call.deadline_ns - MonotonicNowNs());
    call.waiting = true;
    call.ready.WaitWithTimeout(&mutex_, absl::Nanoseconds(std::max<int64_t>(wait, 0)));
    call.waiting = false;
  }
  if (!led_) PassLeadership();
}

// Receives one packet for everybody. `own`: the call of this thread, if any.
void LaneCore::Lead(PendingCall* own, Blocking blocking) {
  led_ = true;
  // Where several threads call, they have a use for the CPU.
  const LaneReader::Wait wait = {blocking, own == nullptr ? 0 : own->deadline_ns,
                                 /*may_look=*/own != nullptr && calls_.has_one()};
  mutex_.Unlock();
  absl::StatusOr<std::optional<ReceivedPacket>> packet = reader_.Receive(lane_, wait);
  const bool mine = packet.ok() && packet->has_value() && own != nullptr &&
                    own->consume != nullptr && (*packet)->view.header.call == own->id &&
                    (*packet)->view.header.type == PacketType::kResponse;
  if (mine) Consume(**packet, *own);
  mutex_.Lock();
  if (mine) {
    calls_.Complete(*own);
  } else if (!packet.ok()) {
    FailAll(absl::UnavailableError(packet.status().message()));
  } else if (packet->has_value()) {
    Deliver(*std::move(*packet), own);
    HaveCompletedRun();
  }
  led_ = false;
}

void LaneCore::Consume(ReceivedPacket& packet, PendingCall& own) {
  const auto* consume = std::exchange(own.consume, nullptr);
  Reply reply;
  const absl::Status unpacked =
      Unpack(packet, max_message_size_, own, reply, [&](MessageBytes message) {
        reply.message = message;
        (*consume)(reply);
      });
  if (unpacked.ok()) return;
  Reply failed = FailedReply(unpacked);
  (*consume)(failed);
}

void LaneCore::Deliver(ReceivedPacket packet, PendingCall* own) {
  const PacketHeader& header = packet.view.header;
  if (header.type == PacketType::kEpoch) {
    posting_.Forget();
    LeaveShared();
    return calls_.BeginEpoch(packet.view.message, header.deadline_ns);
  }
  if (header.type == PacketType::kShared) return Join(packet);
  if (header.type == PacketType::kMailbox) return posting_.Take(packet.descriptors.front());
  // An answer to a call that was cancelled or late is dropped, its descriptors
  // closed. INVARIANT(descriptor-belongs-to-call)
  PendingCall* const call = calls_.Find(header.call);
  if (call == nullptr) return;
  if (header.type == PacketType::kBuffer) {
    call->buffer = std::move(packet.descriptors.front());
    call->buffer_number = header.memory;
    if (call != own && call->waiting) call->ready.Signal();
    return;
  }
  calls_.Store(packet, *call);
  calls_.Complete(*call);
}

void LaneCore::FailAll(const absl::Status& why) {
  if (broken_.ok()) broken_ = why;
  if (std::exchange(joining_, false)) loop_->AbandonJoin();
  calls_.FailAll(broken_);
  HaveCompletedRun();
}

void LaneCore::PassLeadership() {
  if (PendingCall* const follower = calls_.Follower()) {
    follower->ready.Signal();
  } else if (calls_.owns_sent()) {
    if (loop_ != nullptr) return loop_->Notify(id_in_loop_);
    callbacks_ready_.Signal();
  }
}

void LaneCore::SendCancel(uint64_t id) {
  PacketHeader header = {};
  header.type = PacketType::kCancel;
  header.call = id;
  // Without room the service finds out when it answers.
  (void)SendPacket(lane_, {header, {}, {}, {}});
}

void LaneCore::ExpireAsync() {
  calls_.ExpireOwned([](const PendingCall& call) { return LateOrCancelled(call, call.cancelled); },
                     [this](PendingCall& call) {
                       if (call.place.posted) (void)call.place.mailbox->Withdraw(call.place.slot);
                       if (call.shared != nullptr) (void)call.shared->Withdraw(call.shared_slot);
                       SendCancel(call.id);
                     });
}

// By a callback thread, which may be this one, or by the loop. That is to look in any case: the
// packet that this thread has received may be one that was to wake it.
void LaneCore::HaveCompletedRun() {
  if (loop_ != nullptr) return loop_->Notify(id_in_loop_);
  if (!calls_.has_completed()) return;
  if (callback_thread_.joinable()) {
    callbacks_ready_.Signal();
  } else if (bell_ != nullptr) {
    bell_->RingBell();
  }
}

void LaneCore::RunCompleted() {
  while (std::unique_ptr<PendingCall> call = calls_.TakeCompleted()) {
    posting_.NoteEnd(call->method, call->place);
    if (call->shared != nullptr) call->shared->GiveBack(call->shared_slot, *this, call->id);
    mutex_.Unlock();
    if (loop_ != nullptr) loop_->CallEnds();
    call->callback(call->reply);
    if (call->disposes) {
      absl::MutexLock lock(&mutex_);
      calls_.TakeBack(*call);
    }
    call.reset();
    mutex_.Lock();
  }
}

void LaneCore::NeedCallbackThread() {
  if (!callback_thread_.joinable()) {
    callback_thread_ = std::thread([self = shared_from_this()] { self->CallbackThread(); });
  }
  callbacks_ready_.Signal();
}

// Waits at the socket for the answers to callback calls.
void LaneCore::CallbackThread() {
  absl::MutexLock lock(&mutex_);
  while (true) {
    RunCompleted();
    if (closing_) return;
    if (!calls_.owns_sent()) {
      callbacks_ready_.Wait(&mutex_);
      continue;
    }
    ExpireAsync();
    if (calls_.has_completed()) continue;
    if (led_) {
      callbacks_ready_.WaitWithTimeout(&mutex_, absl::Nanoseconds(kTickNs));
    } else {
      Lead(nullptr, Blocking::kWait);
      PassLeadership();
    }
  }
}

// False: there can be no further thread here, as in a worker at its bound.
bool LaneCore::NeedBellThread() {
  if (!bell_thread_.joinable()) {
    try {
      bell_thread_ = std::thread([self = shared_from_this()] { self->BellThread(); });
    } catch (const std::system_error&) {
      return false;
    }
  }
  posted_ready_.Signal();
  return true;
}

// Waits at the mailbox's bell for the answers to callback calls, and some milliseconds for the next
// call, which then wakes nobody here.
void LaneCore::BellThread() {
  absl::MutexLock lock(&mutex_);
  bool quiet = true;
  int64_t looked_ns = 0;
  while (true) {
    // However often the bell rings. INVARIANT(no-hang)
    if (const int64_t now_ns = MonotonicNowNs();
        !calls_.posted().empty() && now_ns - looked_ns >= kTickNs) {
      looked_ns = now_ns;
      LookAtSocket();
      EndOrphans();
      ExpireAsync();
    }
    // Last before the waits: what comes above lets others in.
    RunCompleted();
    if (closing_) return;
    bell_ = calls_.posted().empty() ? posting_.mailbox() : calls_.posted().front()->place.mailbox;
    if (bell_ == nullptr || (quiet && calls_.posted().empty())) {
      bell_ = nullptr;
      posted_ready_.Wait(&mutex_);
      quiet = false;
      continue;
    }
    bell_->ListenForBell();
    if (CollectPosted()) continue;
    const std::shared_ptr<Mailbox> bell = bell_;
    mutex_.Unlock();
    const bool rung = bell->WaitForBell(kTickNs);
    mutex_.Lock();
    quiet = !rung && calls_.posted().empty();
  }
}

// True: there was an answer.
bool LaneCore::CollectPosted() {
  bool collected = false;
  const std::vector<PendingCall*> posted = calls_.posted();
  for (PendingCall* call : posted) {
    const Mailbox::Answer answer = call->place.mailbox->LookForAnswer(call->place.slot);
    if (answer == Mailbox::Answer::kNone) continue;
    collected = true;
    if (answer == Mailbox::Answer::kOnLane) {
      calls_.MoveToLane(*call);
      NeedCallbackThread();
      continue;
    }
    char bytes[Mailbox::kCapacity];
    absl::StatusOr<ReceivedPacket> packet = posting_.Read(call->place, call->id, bytes);
    if (!packet.ok()) {
      FailAll(absl::UnavailableError(packet.status().message()));
      break;
    }
    calls_.Store(*packet, *call);
    calls_.Complete(*call);
  }
  return collected;
}

// Of a process that serves the lane no more. What it had not claimed is not sent again, for want of
// its bytes.
void LaneCore::EndOrphans() {
  const std::vector<PendingCall*> posted = calls_.posted();
  for (PendingCall* call : posted) {
    if (posting_.has(*call->place.mailbox)) continue;
    (void)call->place.mailbox->Withdraw(call->place.slot);
    calls_.Fail(*call, absl::UnavailableError("the service process has ended"));
  }
}

// Without waiting. True: there may be more.
bool LaneCore::ReceiveSome() {
  int packets = 0;
  for (; broken_.ok() && packets < kPacketsInATurn; ++packets) {
    absl::StatusOr<std::optional<ReceivedPacket>> packet =
        reader_.Receive(lane_, {Blocking::kDontWait});
    if (!packet.ok()) {
      FailAll(absl::UnavailableError(packet.status().message()));
    } else if (!packet->has_value()) {
      break;
    } else {
      Deliver(*std::move(*packet), nullptr);
    }
  }
  return broken_.ok() && packets == kPacketsInATurn;
}

absl::StatusOr<bool> LaneCore::Pump() {
  absl::MutexLock lock(&mutex_);
  const bool more = ReceiveSome();
  ExpireAsync();
  RunCompleted();
  if (!broken_.ok()) return broken_;
  return more;
}

void LaneCore::Close() {
  absl::MutexLock lock(&mutex_);
  closing_ = true;
  FailAll(absl::UnavailableError("the channel is closed"));
  // Wakes a leader that is blocked in recvmsg. Not otherwise: it would end the lane
  // for a fork's copy of this object, too.
  if (led_ && lane_.valid()) shutdown(lane_.get(), SHUT_RDWR);
  callbacks_ready_.SignalAll();
  posted_ready_.SignalAll();
  if (bell_ != nullptr) bell_->RingBell();
}

void LaneCore::JoinCallbackThreads() {
  if (loop_ != nullptr) {
    loop_->Remove(id_in_loop_, lane_);
    absl::MutexLock lock(&mutex_);
    LeaveShared();
    return RunCompleted();
  }
  std::thread threads[2];
  {
    absl::MutexLock lock(&mutex_);
    threads[0] = std::move(callback_thread_);
    threads[1] = std::move(bell_thread_);
  }
  for (std::thread& thread : threads) {
    if (!thread.joinable()) continue;
    // A callback that destroys its own client lets the thread end by itself.
    if (thread.get_id() == std::this_thread::get_id()) {
      thread.detach();
    } else {
      thread.join();
    }
  }
}

absl::StatusOr<UniqueFd> LaneCore::Release() {
  {
    absl::MutexLock lock(&mutex_);
    if (!calls_.empty() || calls_.has_completed() || led_) {
      return absl::FailedPreconditionError("hand on channel: it has calls in flight");
    }
    if (!broken_.ok()) return broken_;
    closing_ = true;
    calls_.KeepNothing();
    posting_.Forget();
    if (shared_ != nullptr) SendLeave();
    broken_ = absl::UnavailableError("the channel was handed on");
    callbacks_ready_.SignalAll();
    posted_ready_.SignalAll();
    if (bell_ != nullptr) bell_->RingBell();
  }
  JoinCallbackThreads();
  return std::move(lane_);
}

}  // namespace capbroker::transport
