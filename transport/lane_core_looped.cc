#include <climits>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "base/status_macros.h"
#include "transport/lane_core.h"
#include "transport/posted_packet.h"

namespace capbroker::transport {
namespace {

// Calls in which an answer has to come, and until a lane asks again.
constexpr int kJoinAgainAfter = 16 * kJoinAfter;
// Until one does that was refused.
constexpr int kNeverAgain = INT_MAX;

}  // namespace

absl::Status LaneCore::CompleteIn(std::shared_ptr<CallbackLoop> loop) {
  {
    absl::MutexLock lock(&mutex_);
    if (loop_ != nullptr || external_pump_ || callback_thread_.joinable() ||
        bell_thread_.joinable()) {
      return absl::FailedPreconditionError("complete in loop: callbacks run elsewhere already");
    }
    if (!broken_.ok()) return broken_;
  }
  CB_ASSIGN_OR_RETURN(id_in_loop_, loop->Add(lane_, weak_from_this()));
  loop_ = std::move(loop);
  return absl::OkStatus();
}

// While another thread receives, that one delivers, and says so.
bool LaneCore::OnReady() {
  absl::MutexLock lock(&mutex_);
  const bool more = !led_ && ReceiveSome();
  RunCompleted();
  return more;
}

void LaneCore::OnTick() {
  absl::MutexLock lock(&mutex_);
  ExpireAsync();
  RunCompleted();
}

// INVARIANT(descriptor-belongs-to-call) and the rest: as of a packet of the socket.
void LaneCore::OnAnswer(uint64_t id, absl::string_view bytes) {
  const absl::StatusOr<PacketView> view = ParsePosted(bytes, PacketDirection::kToClient);
  const bool answer = view.ok() && view->header.call == id;
  std::unique_ptr<PendingCall> call;
  {
    absl::MutexLock lock(&mutex_);
    if (!answer) {
      FailAll(absl::UnavailableError("malformed packet: no answer to the call"));
      return RunCompleted();
    }
    call = calls_.TakeOwned(id);
  }
  if (call == nullptr) return;  // late or cancelled
  ReceivedPacket packet;
  packet.view = *view;
  const absl::Status unpacked =
      Unpack(packet, max_message_size_, *call, call->reply,
             [&](MessageBytes message) { call->reply.message = message; });
  if (!unpacked.ok()) call->reply = FailedReply(unpacked);
  loop_->CallEnds();
  call->callback(call->reply);
}

// What this lane shares for a callback call that has room there; asks for it in its time.
std::shared_ptr<SharedSlots> LaneCore::SharedFor(const LaneRequest& request,
                                                 const PendingCall& call) {
  if (loop_ == nullptr) return nullptr;
  absl::MutexLock lock(&mutex_);
  if (shared_ == nullptr) {
    if (calls_until_join_ > 0) --calls_until_join_;
    if (calls_until_join_ == 0) AskToJoin();
    return nullptr;
  }
  const bool fits = !call.disposes && !request.brings_descriptors && request.descriptors.empty() &&
                    SharedMailbox::HasRoom(request.metadata.size(), request.message_size);
  return fits ? shared_ : nullptr;
}

// An answer may never come: this process had no room for the descriptor, or the service for sending
// it. Others wait for their turn meanwhile.
void LaneCore::AskToJoin() {
  if (std::exchange(joining_, false)) {
    calls_until_join_ = kJoinAgainAfter;
    return loop_->AbandonJoin();
  }
  const std::optional<std::string> keys = loop_->BeginJoin();
  if (!keys) return;
  PacketHeader header = {};
  header.type = PacketType::kJoin;
  joining_ = SendPacket(lane_, {header, {}, *keys, {}}).status.ok();
  if (!joining_) return loop_->AbandonJoin();
  calls_until_join_ = kJoinAgainAfter;
}

// TRUST(service).
void LaneCore::Join(const ReceivedPacket& packet) {
  const absl::string_view key = packet.view.message;
  if (!joining_) return;
  joining_ = false;
  calls_until_join_ = kNeverAgain;
  if (key.size() != kJoinKeySize) return loop_->AbandonJoin();
  shared_ = loop_->EndJoin(key, packet.descriptors.empty() ? FdRef() : packet.descriptors.front());
  shared_number_ = static_cast<uint32_t>(packet.view.header.method);
}

// Calls that are in the mailbox are nobody's any more. They are not sent again, for want of their
// bytes.
void LaneCore::LeaveShared() {
  if (std::exchange(joining_, false)) loop_->AbandonJoin();
  calls_until_join_ = kJoinAfter;
  if (shared_ == nullptr) return;
  const std::shared_ptr<SharedSlots> left = std::exchange(shared_, nullptr);
  calls_.ExpireOwned(
      [&](const PendingCall& call) {
        return call.shared != left ? absl::OkStatus()
                                   : absl::UnavailableError("the service process has ended");
      },
      [](PendingCall& call) { (void)call.shared->Withdraw(call.shared_slot); });
}

void LaneCore::SendLeave() {
  PacketHeader header = {};
  header.type = PacketType::kLeave;
  (void)SendPacket(lane_, {header, {}, {}, {}});
}

}  // namespace capbroker::transport
