#include "transport/posting.h"

#include <utility>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "base/status_macros.h"

namespace capbroker::transport {

void Posting::Take(FdRef memfd) {
  absl::StatusOr<std::unique_ptr<Mailbox>> mailbox = Mailbox::Map(memfd);
  if (mailbox.ok()) mailbox_ = *std::move(mailbox);
}

Posting::Choice Posting::Choose(uint64_t method) {
  if (method == on_lane_ && unposted_ > 0) {
    --unposted_;
    return {};
  }
  if (mailbox_ == nullptr) return {nullptr, kFlagWouldPost | kFlagNoMailbox};
  const bool at_once = MonotonicNowNs() - answered_ns_ < within_ns_;
  return {at_once ? mailbox_ : nullptr, kFlagWouldPost};
}

void Posting::NoteEnd(uint64_t method, bool posted, bool on_lane) {
  if (posted) ++posted_;
  if (on_lane) {
    on_lane_ = method;
    unposted_ = kUnpostedAfter;
  }
  if (mailbox_ != nullptr) answered_ns_ = MonotonicNowNs();
}

bool Posting::Post(Mailbox& mailbox, const OutgoingPacket& request) {
  return mailbox.Post(request, /*sleeps=*/!Looks());
}

Mailbox::Answer Posting::Wait(Mailbox& mailbox, int64_t most_ns) {
  Mailbox::Answer answer = Mailbox::Answer::kNone;
  const auto look = [&] { return (answer = mailbox.LookForAnswer()) != Mailbox::Answer::kNone; };
  if (!Looks() || !polling_.Look(look)) answer = mailbox.WaitForAnswer(most_ns);
  return answer;
}

absl::StatusOr<ReceivedPacket> Posting::Read(const Mailbox& mailbox, uint64_t call, char* bytes) {
  const size_t size = mailbox.ReadAnswer(bytes);
  ReceivedPacket packet;
  CB_ASSIGN_OR_RETURN(packet.view,
                      ParsePacket(absl::string_view(bytes, size), 0, PacketDirection::kToClient));
  const PacketHeader& header = packet.view.header;
  if (header.type != PacketType::kResponse || header.call != call || IsInMemory(header.flags)) {
    return absl::InvalidArgumentError("malformed packet: no answer to the call");
  }
  polling_.Earn();
  service_awake_ = (header.flags & kFlagAwake) != 0;
  return packet;
}

}  // namespace capbroker::transport
