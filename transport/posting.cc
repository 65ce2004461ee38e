#include "transport/posting.h"

#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "base/status_macros.h"
#include "transport/posted_packet.h"

namespace capbroker::transport {

void Posting::Take(FdRef memfd) {
  absl::StatusOr<std::unique_ptr<Mailbox>> mailbox = Mailbox::Map(memfd);
  if (mailbox.ok()) mailbox_ = *std::move(mailbox);
}

Posting::Choice Posting::Choose(uint64_t method, bool alone, bool at_bell) {
  if (method == on_lane_ && unposted_ > 0) {
    --unposted_;
    return {};
  }
  if (mailbox_ == nullptr) return {{}, kFlagWouldPost | kFlagNoMailbox};
  Choice choice = {{}, kFlagWouldPost};
  if (MonotonicNowNs() - answered_ns_ >= within_ns_) return choice;
  if (const std::optional<int> slot = mailbox_->TakeSlot()) {
    choice.place = {mailbox_, *slot};
    choice.place.alone = alone && !at_bell;
    choice.place.at_bell = at_bell;
  }
  return choice;
}

void Posting::Leave(PostedPlace& place) {
  if (place.mailbox != nullptr) place.mailbox->FreeSlot(place.slot);
  place = {};
}

void Posting::NoteEnd(uint64_t method, PostedPlace& place) {
  if (place.posted) ++posted_;
  if (place.on_lane) {
    on_lane_ = method;
    unposted_ = kUnpostedAfter;
  }
  if (mailbox_ != nullptr) answered_ns_ = MonotonicNowNs();
  Leave(place);
}

bool Posting::Post(const PostedPlace& place, const OutgoingPacket& request) {
  const Mailbox::Wait wait = place.at_bell  ? Mailbox::Wait::kAtBell
                             : Looks(place) ? Mailbox::Wait::kLooking
                                            : Mailbox::Wait::kSleeping;
  return place.mailbox->Post(place.slot, request, wait);
}

Mailbox::Answer Posting::Wait(const PostedPlace& place, int64_t most_ns) {
  Mailbox& mailbox = *place.mailbox;
  Mailbox::Answer answer = Mailbox::Answer::kNone;
  const auto look = [&] {
    return (answer = mailbox.LookForAnswer(place.slot)) != Mailbox::Answer::kNone;
  };
  if (!Looks(place) || !polling_.Look(look)) answer = mailbox.WaitForAnswer(place.slot, most_ns);
  return answer;
}

absl::StatusOr<ReceivedPacket> Posting::Read(const PostedPlace& place, uint64_t call, char* bytes) {
  const size_t size = place.mailbox->ReadAnswer(place.slot, bytes);
  ReceivedPacket packet;
  CB_ASSIGN_OR_RETURN(packet.view,
                      ParsePosted(absl::string_view(bytes, size), PacketDirection::kToClient));
  const PacketHeader& header = packet.view.header;
  if (header.call != call) {
    return absl::InvalidArgumentError("malformed packet: no answer to the call");
  }
  if (place.alone) {
    polling_.Earn();
    service_awake_ = (header.flags & kFlagAwake) != 0;
  }
  return packet;
}

}  // namespace capbroker::transport
