#include "transport/lane_core.h"

#include <poll.h>

#include <optional>
#include <string>
#include <utility>

#include "absl/strings/string_view.h"
#include "base/status_macros.h"
#include "transport/bulk.h"
#include "transport/mailbox.h"
#include "transport/message_memory.h"

namespace capbroker::transport {
namespace {

PacketHeader HeaderOf(const LaneRequest& request, const PendingCall& call) {
  PacketHeader header = {};
  header.type = PacketType::kRequest;
  header.call = call.id;
  header.method = request.method;
  header.deadline_ns = request.deadline_ns;
  return header;
}

// A request that is not large. In place: `packet` is of its bytes.
class SerializedRequest {
 public:
  absl::Status Fill(const LaneRequest& request, const PendingCall& call);
  OutgoingPacket packet;

 private:
  char on_stack_[2048];
  std::string on_heap_;  // if it is larger than that
};

}  // namespace

LaneCore::LaneCore(UniqueFd lane, size_t max_message_size, int64_t post_within_ns)
    : max_message_size_(max_message_size),
      lane_(std::move(lane)),
      posting_(post_within_ns),
      calls_(max_message_size),
      calls_until_join_(kJoinAfter) {
  // Here and not where lanes are made: this one may come from anybody.
  const absl::Status usable = SetCancelTick(lane_);
  absl::MutexLock lock(&mutex_);
  if (!usable.ok()) broken_ = absl::UnavailableError("the channel is closed");
}

bool LaneCore::Register(const LaneRequest& request, PendingCall& call) {
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
  ChooseMailbox(request, call);
  return true;
}

void LaneCore::ChooseMailbox(const LaneRequest& request, PendingCall& call) {
  if (loop_ != nullptr) return;
  if (call.disposes || request.brings_descriptors || !request.descriptors.empty()) return;
  if (!Mailbox::HasRoom(request.metadata.size(), request.message_size)) return;
  Posting::Choice choice = posting_.Choose(request.method, /*alone=*/calls_.has_one(),
                                           /*at_bell=*/call.consume == nullptr);
  call.place = std::move(choice.place);
  call.posting_flags = choice.flags;
}

void LaneCore::Call(const LaneRequest& request, absl::FunctionRef<bool()> cancelled,
                    absl::FunctionRef<void(Reply&)> consume) {
  PendingCall call;
  call.consume = &consume;
  if (Register(request, call)) {
    absl::Status sent = SendRequest(request, call, cancelled);
    if (sent.ok() && call.place.posted) sent = AwaitPosted(request, call, cancelled);
    absl::MutexLock lock(&mutex_);
    if (!sent.ok()) {
      calls_.Fail(call, sent);
    } else {
      WaitUntil(call, cancelled, [&call] { return call.done; });
    }
    calls_.Forget(call);
    posting_.NoteEnd(call.method, call.place);
  }
  // Null when the leader, this very thread, has consumed the answer in place.
  if (call.consume != nullptr) consume(call.reply);
  if (!call.disposes) return;
  absl::MutexLock lock(&mutex_);
  calls_.TakeBack(call);
}

void LaneCore::StartCall(const LaneRequest& request, std::function<bool()> cancelled,
                         std::function<void(Reply&)> done) {
  if (loop_ != nullptr) loop_->CallBegins();
  auto owned = std::make_unique<PendingCall>();
  owned->cancelled = std::move(cancelled);
  owned->callback = std::move(done);
  const bool registered = Register(request, *owned);
  RestingService resting;
  if (registered && (PostOwned(request, owned) || PutOwned(request, owned, resting))) return;
  PendingCall& call = *owned;
  // Not marked as a callback call before it is sent: until then this thread waits
  // for the buffer of a large request itself.
  done = std::exchange(call.callback, nullptr);
  const absl::Status sent =
      registered ? SendRequest(request, call, call.cancelled) : absl::UnavailableError("");
  if (sent.ok() && resting.shared != nullptr) resting.shared->RouseService(resting.since);
  absl::MutexLock lock(&mutex_);
  call.callback = std::move(done);
  if (!sent.ok()) calls_.Fail(call, sent);
  calls_.Own(std::move(owned));
  if (loop_ != nullptr) {
    if (calls_.has_completed()) HaveCompletedRun();
  } else if (!external_pump_) {
    NeedCallbackThread();
  }
}

// A callback call that has a slot. It is waited for before it is posted, because its answer often
// comes before this thread goes on; the call may be gone then. False: it is not posted, and the
// caller's still.
bool LaneCore::PostOwned(const LaneRequest& request, std::unique_ptr<PendingCall>& call) {
  if (call->place.mailbox == nullptr) return false;
  SerializedRequest serialized;
  const PostedPlace place = call->place;
  const uint64_t id = call->id;
  bool ready = LateOrCancelled(*call, call->cancelled).ok() && serialized.Fill(request, *call).ok();
  if (ready) {
    absl::MutexLock lock(&mutex_);
    ready = NeedBellThread();
    if (ready) {
      call->place.posted = true;
      const bool over = call->done;
      calls_.Own(std::move(call));
      if (over) return true;
    }
  }
  if (ready && posting_.Post(place, serialized.packet)) return true;
  absl::MutexLock lock(&mutex_);
  if (ready) call = calls_.Disown(id);
  if (call == nullptr) return true;
  posting_.Leave(call->place);
  return false;
}

// The same for a call of a lane in a loop, whose answer the loop collects. `resting`: the service,
// for which the call is not put.
bool LaneCore::PutOwned(const LaneRequest& request, std::unique_ptr<PendingCall>& call,
                        RestingService& resting) {
  const std::shared_ptr<SharedSlots> shared = SharedFor(request, *call);
  if (shared == nullptr) return false;
  resting.since = shared->service_rests();
  if (resting.since) {
    resting.shared = shared;
    return false;
  }
  SerializedRequest serialized;
  if (!LateOrCancelled(*call, call->cancelled).ok() || !serialized.Fill(request, *call).ok()) {
    return false;
  }
  const uint64_t id = call->id;
  const std::optional<int> slot = shared->Take(shared_from_this(), id);
  if (!slot) return false;
  uint32_t number;
  {
    absl::MutexLock lock(&mutex_);
    number = shared_number_;
    // The service process may be another one by now.
    if (shared_ == shared && !call->done) {
      call->shared = shared;
      call->shared_slot = *slot;
      ++calls_put_;
      calls_.Own(std::move(call));
    }
  }
  if (call == nullptr) {
    if (shared->Put(*slot, number, serialized.packet)) return true;
    absl::MutexLock lock(&mutex_);
    call = calls_.Disown(id);
    if (call == nullptr) return true;
    call->shared = nullptr;
    --calls_put_;
  }
  shared->GiveBack(*slot, *this, id);
  return false;
}

absl::Status SerializedRequest::Fill(const LaneRequest& request, const PendingCall& call) {
  char* bytes = on_stack_;
  if (request.message_size > sizeof on_stack_) {
    on_heap_.resize(request.message_size);
    bytes = on_heap_.data();
  }
  if (!request.serialize(bytes)) return absl::InternalError("serialize request");
  PacketHeader header = HeaderOf(request, call);
  if (call.disposes) header.flags = kFlagKept;
  header.flags |= call.posting_flags;
  header.memory = call.lent.number;
  packet = {header, request.metadata, absl::string_view(bytes, request.message_size),
            request.descriptors};
  return absl::OkStatus();
}

absl::Status LaneCore::SendRequest(const LaneRequest& request, PendingCall& call,
                                   absl::FunctionRef<bool()> cancelled) {
  CB_RETURN_IF_ERROR(LateOrCancelled(call, cancelled));
  if (request.metadata.size() > kMaxMetadataSize) {
    return absl::ResourceExhaustedError("metadata larger than its bound");
  }
  if (request.message_size > kMaxMessageSize) {
    return absl::ResourceExhaustedError("request larger than its bound");
  }
  if (request.message_size > kMaxInlineMessage) {
    return SendInMemory(request, HeaderOf(request, call), call, cancelled);
  }
  SerializedRequest serialized;
  CB_RETURN_IF_ERROR(serialized.Fill(request, call));
  if (call.place.mailbox != nullptr) {
    call.place.posted = posting_.Post(call.place, serialized.packet);
    if (call.place.posted) return absl::OkStatus();
  }
  return SendOrWait(serialized.packet, call, cancelled);
}

absl::Status LaneCore::SendInMemory(const LaneRequest& request, PacketHeader header,
                                    PendingCall& call, absl::FunctionRef<bool()> cancelled) {
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
absl::StatusOr<UniqueFd> LaneCore::AskForBuffer(const LaneRequest& request, PendingCall& call,
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

absl::Status LaneCore::SendOrWait(const OutgoingPacket& packet, const PendingCall& call,
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

}  // namespace capbroker::transport
