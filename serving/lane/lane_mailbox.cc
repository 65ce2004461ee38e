#include "serving/lane/lane_mailbox.h"

#include <algorithm>
#include <utility>

#include "absl/strings/string_view.h"
#include "transport/posted_packet.h"

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
  if (!Wanted() || attended_) return false;
  const bool asked_for = client_has_none_.load(std::memory_order_relaxed);
  // Answers are still to be put where another one would be.
  if (asked_for && unanswered_ != 0) return false;
  would_post_.store(0, std::memory_order_relaxed);
  if (asked_for) {
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

void LaneMailbox::Close() { mailbox_->Close(); }

absl::StatusOr<std::optional<LaneMailbox::Posted>> LaneMailbox::Take(
    transport::ReceiveBuffer& buffer) {
  const std::optional<int> slot = mailbox_->Claim();
  if (!slot) return std::nullopt;
  const size_t size = mailbox_->ReadRequest(*slot, buffer.data());
  const absl::StatusOr<transport::PacketView> view = transport::ParsePosted(
      absl::string_view(buffer.data(), size), transport::PacketDirection::kToService);
  if (!view.ok()) {
    Refuse(*slot);
    return view.status();
  }
  Posted posted;
  posted.slot = *slot;
  posted.packet.view = *view;
  return posted;
}

bool LaneMailbox::Begin(int slot, uint64_t call) {
  if (posted_[slot]) return false;
  posted_[slot] = call;
  ++unanswered_;
  return true;
}

bool LaneMailbox::Answer(const transport::OutgoingPacket& answer) {
  if (unanswered_ == 0) return false;
  const auto found = std::find(posted_.begin(), posted_.end(), answer.header.call);
  if (found == posted_.end()) return false;
  const int slot = static_cast<int>(found - posted_.begin());
  found->reset();
  --unanswered_;
  const bool fits = Mailbox::Fits(answer);
  if (fits) {
    mailbox_->PutAnswer(slot, answer);
  } else {
    mailbox_->AnswerOnLane(slot);
  }
  return fits;
}

void LaneMailbox::Abandon() {
  if (mailbox_ == nullptr) return;
  mailbox_->Close();
  for (int slot = 0; slot < Mailbox::kSlots; ++slot) {
    if (const std::optional<int> posted = mailbox_->Claim()) mailbox_->AnswerOnLane(*posted);
    if (std::exchange(posted_[slot], std::nullopt)) mailbox_->AnswerOnLane(slot);
  }
  unanswered_ = 0;
}

}  // namespace capbroker::serving
