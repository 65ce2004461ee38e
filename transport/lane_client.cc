#include "transport/lane_client.h"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <optional>
#include <thread>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "base/status_macros.h"
#include "transport/bulk.h"
#include "transport/calls_in_flight.h"
#include "transport/lane_reader.h"
#include "transport/lane_socket.h"
#include "transport/message_bytes.h"
#include "transport/message_memory.h"
#include "transport/packet.h"
#include "transport/posting.h"

namespace capbroker::transport {
namespace {

constexpr int64_t kTickNs = int64_t{kCancelTickMs} * 1'000'000;
// What a peer may send at once before an owner with an event loop turns to others.
constexpr int kPacketsInATurn = 16;
// A larger request is serialised on the heap.
constexpr size_t kStackMessage = 2048;

}  // namespace

// Shared with the callback thread, which may run a callback that destroys the
// client.
class LaneClient::Core : public std::enable_shared_from_this<Core> {
 public:
  Core(UniqueFd lane, size_t max_message_size, int64_t post_within_ns)
      : max_message_size_(max_message_size),
        lane_(std::move(lane)),
        posting_(post_within_ns),
        calls_(max_message_size, &callbacks_ready_) {
    // Here and not where lanes are made: this one may come from anybody.
    const absl::Status usable = SetCancelTick(lane_);
    absl::MutexLock lock(&mutex_);
    if (!usable.ok()) broken_ = absl::UnavailableError("the channel is closed");
  }

  void Call(const LaneRequest& request, absl::FunctionRef<bool()> cancelled,
            absl::FunctionRef<void(Reply&)> consume);
  void StartCall(const LaneRequest& request, std::function<bool()> cancelled,
                 std::function<void(Reply&)> done);
  void Close();
  void JoinCallbackThread();
  absl::StatusOr<bool> Pump();
  absl::StatusOr<UniqueFd> Release();
  void UseExternalPump() { external_pump_ = true; }
  FdRef fd() const { return lane_; }
  uint64_t posted_calls() {
    absl::MutexLock lock(&mutex_);
    return posting_.posted();
  }

 private:
  bool Register(const LaneRequest& request, PendingCall& call) ABSL_LOCKS_EXCLUDED(mutex_);
  void ChooseMailbox(const LaneRequest& request, PendingCall& call)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status SendRequest(const LaneRequest& request, PendingCall& call,
                           absl::FunctionRef<bool()> cancelled) ABSL_LOCKS_EXCLUDED(mutex_);
  absl::Status SendInMemory(const LaneRequest& request, PacketHeader header, PendingCall& call,
                            absl::FunctionRef<bool()> cancelled) ABSL_LOCKS_EXCLUDED(mutex_);
  absl::StatusOr<UniqueFd> AskForBuffer(const LaneRequest& request, PendingCall& call,
                                        absl::FunctionRef<bool()> cancelled)
      ABSL_LOCKS_EXCLUDED(mutex_);
  absl::Status SendOrWait(const OutgoingPacket& packet, const PendingCall& call,
                          absl::FunctionRef<bool()> cancelled) ABSL_LOCKS_EXCLUDED(mutex_);
  absl::Status AwaitPosted(const LaneRequest& request, PendingCall& call,
                           absl::FunctionRef<bool()> cancelled, bool& on_lane)
      ABSL_LOCKS_EXCLUDED(mutex_);
  bool FailIfGivenUp(PendingCall& call, absl::FunctionRef<bool()> cancelled)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void WaitUntil(PendingCall& call, absl::FunctionRef<bool()> cancelled,
                 absl::FunctionRef<bool()> arrived) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Lead(PendingCall* own, Blocking blocking) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Deliver(ReceivedPacket packet, PendingCall* own) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Consume(ReceivedPacket& packet, PendingCall& own) ABSL_LOCKS_EXCLUDED(mutex_);
  void FailAll(const absl::Status& why) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void PassLeadership() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void ExpireAsync() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void RunCompleted() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void CallbackThread() ABSL_LOCKS_EXCLUDED(mutex_);
  void SendCancel(uint64_t id);

  const size_t max_message_size_;
  bool external_pump_ = false;
  UniqueFd lane_;
  LaneReader reader_;  // the leader's

  absl::Mutex mutex_;
  Posting posting_;  // guarded as it says
  absl::CondVar callbacks_ready_;
  bool led_ ABSL_GUARDED_BY(mutex_) = false;
  bool closing_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Status broken_ ABSL_GUARDED_BY(mutex_);
  CallsInFlight calls_ ABSL_GUARDED_BY(mutex_);
  std::thread callback_thread_ ABSL_GUARDED_BY(mutex_);
};

bool LaneClient::Core::Register(const LaneRequest& request, PendingCall& call) {
  call.method = request.method;
  call.deadline_ns = request.deadline_ns;
  absl::MutexLock lock(&mutex_);
  if (request.message_size > kMaxInlineMessage && calls_.keeps_any() && !led_) {
    // A successor, whose first packet waits perhaps, knows of no memory.
    Lead(nullptr, Blocking::kDontWait);
    PassLeadership();
  }
  if (!broken_.ok()) {
    calls_.Fail(call, broken_);
    return false;
  }
  calls_.Add(call);
  if (external_pump_) return true;
  calls_.Lend(request.message_size, call);
  if (call.consume != nullptr) ChooseMailbox(request, call);
  return true;
}

void LaneClient::Core::ChooseMailbox(const LaneRequest& request, PendingCall& call) {
  if (call.disposes || request.brings_descriptors || !request.descriptors.empty()) return;
  if (!Mailbox::HasRoom(request.metadata.size(), request.message_size)) return;
  Posting::Choice choice = posting_.Choose(request.method, /*alone=*/calls_.has_one());
  call.place = std::move(choice.place);
  call.posting_flags = choice.flags;
}

void LaneClient::Core::Call(const LaneRequest& request, absl::FunctionRef<bool()> cancelled,
                            absl::FunctionRef<void(Reply&)> consume) {
  PendingCall call;
  call.consume = &consume;
  if (Register(request, call)) {
    absl::Status sent = SendRequest(request, call, cancelled);
    bool on_lane = false;
    if (sent.ok() && call.place.posted) {
      sent = AwaitPosted(request, call, cancelled, on_lane);
    }
    absl::MutexLock lock(&mutex_);
    if (!sent.ok()) {
      calls_.Fail(call, sent);
    } else {
      WaitUntil(call, cancelled, [&call] { return call.done; });
    }
    calls_.Forget(call);
    posting_.NoteEnd(call.method, call.place, on_lane);
  }
  // Null when the leader, this very thread, has consumed the answer in place.
  if (call.consume != nullptr) consume(call.reply);
  if (!call.disposes) return;
  absl::MutexLock lock(&mutex_);
  calls_.TakeBack(call);
}

void LaneClient::Core::StartCall(const LaneRequest& request, std::function<bool()> cancelled,
                                 std::function<void(Reply&)> done) {
  auto owned = std::make_unique<PendingCall>();
  PendingCall& call = *owned;
  call.cancelled = std::move(cancelled);
  // Not marked as a callback call before it is sent: until then this thread waits
  // for the buffer of a large request itself.
  const absl::Status sent = Register(request, call) ? SendRequest(request, call, call.cancelled)
                                                    : absl::UnavailableError("");
  absl::MutexLock lock(&mutex_);
  call.callback = std::move(done);
  if (!sent.ok()) calls_.Fail(call, sent);
  calls_.Own(std::move(owned));
  if (external_pump_) return;
  if (!callback_thread_.joinable()) {
    callback_thread_ = std::thread([self = shared_from_this()] { self->CallbackThread(); });
  }
  callbacks_ready_.Signal();
}

absl::Status LaneClient::Core::SendRequest(const LaneRequest& request, PendingCall& call,
                                           absl::FunctionRef<bool()> cancelled) {
  CB_RETURN_IF_ERROR(LateOrCancelled(call, cancelled));
  if (request.metadata.size() > kMaxMetadataSize) {
    return absl::ResourceExhaustedError("metadata larger than its bound");
  }
  if (request.message_size > kMaxMessageSize) {
    return absl::ResourceExhaustedError("request larger than its bound");
  }
  PacketHeader header = {};
  header.type = PacketType::kRequest;
  header.call = call.id;
  header.method = request.method;
  header.deadline_ns = request.deadline_ns;
  if (request.message_size > kMaxInlineMessage) {
    return SendInMemory(request, header, call, cancelled);
  }
  if (call.disposes) header.flags = kFlagKept;
  header.flags |= call.posting_flags;
  header.memory = call.lent.number;
  char on_stack[kStackMessage];
  std::string on_heap;
  char* bytes = on_stack;
  if (request.message_size > sizeof on_stack) {
    on_heap.resize(request.message_size);
    bytes = on_heap.data();
  }
  if (!request.serialize(bytes)) return absl::InternalError("serialize request");
  const OutgoingPacket packet = {header, request.metadata,
                                 absl::string_view(bytes, request.message_size),
                                 request.descriptors};
  if (call.place.mailbox != nullptr) {
    call.place.posted = posting_.Post(call.place, packet);
    if (call.place.posted) return absl::OkStatus();
  }
  return SendOrWait(packet, call, cancelled);
}

absl::Status LaneClient::Core::SendInMemory(const LaneRequest& request, PacketHeader header,
                                            PendingCall& call,
                                            absl::FunctionRef<bool()> cancelled) {
  if (external_pump_) return absl::ResourceExhaustedError("request too large for a packet");
  UniqueFd buffer;
  if (call.lent.memory == nullptr) {
    CB_ASSIGN_OR_RETURN(buffer, AskForBuffer(request, call, cancelled));
    if (!buffer.valid() && call.lent.memory == nullptr) return absl::OkStatus();
  }
  if (call.lent.memory != nullptr) {
    CB_RETURN_IF_ERROR(call.lent.memory->Write(request.message_size, request.serialize));
    header.flags = kFlagKept | kFlagInKept;
    header.memory = call.lent.number;
  } else {
    CB_RETURN_IF_ERROR(FillRequestBuffer(buffer, request.message_size, request.serialize));
    header.flags = kFlagBulk;
  }
  header.message_size = static_cast<uint32_t>(request.message_size);
  return SendOrWait({header, request.metadata, {}, request.descriptors}, call, cancelled);
}

// Memory for this request alone, or none: it was lent to the call, or the call is done, with a
// reply, because the service refused.
absl::StatusOr<UniqueFd> LaneClient::Core::AskForBuffer(const LaneRequest& request,
                                                        PendingCall& call,
                                                        absl::FunctionRef<bool()> cancelled) {
  PacketHeader ask = {};
  ask.type = PacketType::kBufferRequest;
  ask.call = call.id;
  if (call.disposes) ask.flags = kFlagKept;
  ask.message_size = static_cast<uint32_t>(request.message_size);
  CB_RETURN_IF_ERROR(SendOrWait({ask, {}, {}, {}}, call, cancelled));
  absl::MutexLock lock(&mutex_);
  WaitUntil(call, cancelled, [&call] { return call.done || call.buffer.valid(); });
  if (call.done) return UniqueFd();
  if (call.buffer_number == 0 || !call.disposes) return std::move(call.buffer);
  CB_ASSIGN_OR_RETURN(call.lent.memory, MessageMemory::Map(call.buffer, request.message_size));
  call.lent.number = call.buffer_number;
  call.buffer.Reset();
  return UniqueFd();
}

absl::Status LaneClient::Core::SendOrWait(const OutgoingPacket& packet, const PendingCall& call,
                                          absl::FunctionRef<bool()> cancelled) {
  while (true) {
    SendResult result = SendPacket(lane_, packet);
    if (!result.would_block) {
      // A peer that is gone may have left an answer to this or an earlier call.
      if (absl::IsUnavailable(result.status)) {
        return absl::UnavailableError("the peer closed the channel");
      }
      return result.status;
    }
    CB_RETURN_IF_ERROR(LateOrCancelled(call, cancelled));
    if (external_pump_) return absl::UnavailableError("no room on the channel");
    pollfd p = {lane_.get(), POLLOUT, 0};
    poll(&p, 1, kCancelTickMs);
  }
}

// Until a posted call is done, or is to be waited for at the socket, `on_lane` because the service
// says so.
absl::Status LaneClient::Core::AwaitPosted(const LaneRequest& request, PendingCall& call,
                                           absl::FunctionRef<bool()> cancelled, bool& on_lane) {
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
      on_lane = true;
      return absl::OkStatus();
    }
    absl::MutexLock lock(&mutex_);
    // The socket tells what has become of the service.
    if (!led_) {
      Lead(nullptr, Blocking::kDontWait);
      PassLeadership();
    }
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

// True: nobody waits for the call any more.
bool LaneClient::Core::FailIfGivenUp(PendingCall& call, absl::FunctionRef<bool()> cancelled) {
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
void LaneClient::Core::WaitUntil(PendingCall& call, absl::FunctionRef<bool()> cancelled,
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
void LaneClient::Core::Lead(PendingCall* own, Blocking blocking) {
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
  }
  led_ = false;
}

void LaneClient::Core::Consume(ReceivedPacket& packet, PendingCall& own) {
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

void LaneClient::Core::Deliver(ReceivedPacket packet, PendingCall* own) {
  const PacketHeader& header = packet.view.header;
  if (header.type == PacketType::kEpoch) {
    posting_.Forget();
    return calls_.BeginEpoch(packet.view.message, header.deadline_ns);
  }
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

void LaneClient::Core::FailAll(const absl::Status& why) {
  if (broken_.ok()) broken_ = why;
  calls_.FailAll(broken_);
}

void LaneClient::Core::PassLeadership() {
  if (PendingCall* const follower = calls_.Follower()) {
    follower->ready.Signal();
  } else if (calls_.owns_any()) {
    callbacks_ready_.Signal();
  }
}

void LaneClient::Core::SendCancel(uint64_t id) {
  PacketHeader header = {};
  header.type = PacketType::kCancel;
  header.call = id;
  // Without room the service finds out when it answers.
  (void)SendPacket(lane_, {header, {}, {}, {}});
}

void LaneClient::Core::ExpireAsync() {
  calls_.ExpireOwned([](const PendingCall& call) { return LateOrCancelled(call, call.cancelled); },
                     [this](uint64_t call) { SendCancel(call); });
}

void LaneClient::Core::RunCompleted() {
  while (std::unique_ptr<PendingCall> call = calls_.TakeCompleted()) {
    mutex_.Unlock();
    call->callback(call->reply);
    if (call->disposes) {
      absl::MutexLock lock(&mutex_);
      calls_.TakeBack(*call);
    }
    call.reset();
    mutex_.Lock();
  }
}

void LaneClient::Core::CallbackThread() {
  absl::MutexLock lock(&mutex_);
  while (true) {
    RunCompleted();
    if (closing_) return;
    if (!calls_.owns_any()) {
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

absl::StatusOr<bool> LaneClient::Core::Pump() {
  absl::MutexLock lock(&mutex_);
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
  ExpireAsync();
  RunCompleted();
  if (!broken_.ok()) return broken_;
  return packets == kPacketsInATurn;
}

void LaneClient::Core::Close() {
  absl::MutexLock lock(&mutex_);
  closing_ = true;
  FailAll(absl::UnavailableError("the channel is closed"));
  // Wakes a leader that is blocked in recvmsg. Not otherwise: it would end the lane
  // for a fork's copy of this object, too.
  if (led_ && lane_.valid()) shutdown(lane_.get(), SHUT_RDWR);
  callbacks_ready_.SignalAll();
}

void LaneClient::Core::JoinCallbackThread() {
  std::thread thread;
  {
    absl::MutexLock lock(&mutex_);
    thread = std::move(callback_thread_);
  }
  if (!thread.joinable()) return;
  // A callback that destroys its own client lets the thread end by itself.
  if (thread.get_id() == std::this_thread::get_id()) {
    thread.detach();
  } else {
    thread.join();
  }
}

absl::StatusOr<UniqueFd> LaneClient::Core::Release() {
  {
    absl::MutexLock lock(&mutex_);
    if (!calls_.empty() || calls_.has_completed() || led_) {
      return absl::FailedPreconditionError("hand on channel: it has calls in flight");
    }
    if (!broken_.ok()) return broken_;
    closing_ = true;
    calls_.KeepNothing();
    posting_.Forget();
    broken_ = absl::UnavailableError("the channel was handed on");
    callbacks_ready_.SignalAll();
  }
  JoinCallbackThread();
  return std::move(lane_);
}

LaneClient::LaneClient(UniqueFd lane, size_t max_message_size, int64_t post_within_ns)
    : core_(std::make_shared<Core>(std::move(lane), max_message_size, post_within_ns)) {}

LaneClient::~LaneClient() {
  core_->Close();
  core_->JoinCallbackThread();
}

void LaneClient::Call(const LaneRequest& request, absl::FunctionRef<bool()> cancelled,
                      absl::FunctionRef<void(Reply&)> consume) {
  core_->Call(request, cancelled, consume);
}

void LaneClient::StartCall(const LaneRequest& request, std::function<bool()> cancelled,
                           std::function<void(Reply&)> done) {
  core_->StartCall(request, std::move(cancelled), std::move(done));
}

void LaneClient::Close() { core_->Close(); }
void LaneClient::UseExternalPump() { core_->UseExternalPump(); }
absl::StatusOr<bool> LaneClient::Pump() { return core_->Pump(); }
FdRef LaneClient::fd() const { return core_->fd(); }
uint64_t LaneClient::posted_calls() const { return core_->posted_calls(); }
absl::StatusOr<UniqueFd> LaneClient::Release() { return core_->Release(); }

}  // namespace capbroker::transport
