#include "serving/lane/lane_mailbox.h"

#include <utility>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "base/status_macros.h"

namespace capbroker::serving {

using transport::Mailbox;

void LaneMailbox::NoteRequest(uint8_t flags) {
  if ((flags & transport::kFlagWouldPost) == 0) {
    return would_post_.store(0, std::memory_order_relaxed);
  }
  client_has_none_.store((flags & transport::kFlagNoMailbox) != 0, std::memory_order_relaxed);
  if (!Wanted()) would_post_.fetch_add(1, std::memory_order_relaxed);
}

bool LaneMailbox::Open(UniqueFd& sent) {
  // A call of the time before is not answered: its answer would close what is opened here.
  if (!Wanted() || attended_ || posted_) return false;
  would_post_.store(0, std::memory_order_relaxed);
  if (client_has_none_.load(std::memory_order_relaxed)) {
    absl::StatusOr<std::unique_ptr<Mailbox>> made = Mailbox::Make();
    if (!made.ok()) return false;
    absl::StatusOr<UniqueFd> shared = (*made)->Share();
    if (!shared.ok()) return false;
    mailbox_ = *std::move(made);
    sent = *std::move(shared);
  }
  if (mailbox_ == nullptr) return false;
  mailbox_->Open();
  attended_ = true;
  return true;
}

bool LaneMailbox::Close() {
  attended_ = false;
  return mailbox_->Close();
}

absl::StatusOr<transport::ReceivedPacket> LaneMailbox::Copy(transport::ReceiveBuffer& buffer) {
  const size_t size = mailbox_->TakeRequest(buffer.data());
  transport::ReceivedPacket packet;
  CB_ASSIGN_OR_RETURN(packet.view, transport::ParsePacket(absl::string_view(buffer.data(), size), 0,
                                                          transport::PacketDirection::kToService));
  if (packet.view.header.type != transport::PacketType::kRequest ||
      transport::IsInMemory(packet.view.header.flags)) {
    return absl::InvalidArgumentError("malformed packet: not for a mailbox");
  }
  return packet;
}

bool LaneMailbox::Begin(uint64_t call) {
  if (posted_) return false;
  posted_ = call;
  return true;
}

bool LaneMailbox::Answer(const transport::OutgoingPacket& answer, bool awake) {
  if (posted_ != answer.header.call) return false;
  posted_.reset();
  const Mailbox::Next next = !attended_ ? Mailbox::Next::kAway
                             : awake    ? Mailbox::Next::kAwake
                                        : Mailbox::Next::kAsleep;
  const bool fits = Mailbox::Fits(answer);
  if (fits) {
    mailbox_->PutAnswer(answer, next);
  } else {
    mailbox_->AnswerOnLane(next);
  }
  return fits;
}

void LaneMailbox::Abandon() {
  posted_.reset();
  if (mailbox_ != nullptr) mailbox_->AnswerOnLane(Mailbox::Next::kAway);
}

}  // namespace capbroker::serving
