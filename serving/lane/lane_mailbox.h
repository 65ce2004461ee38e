// The service end of a lane's mailbox (transport/mailbox.h), which is open while a thread attends
// the lane.
//
// Of the words in the shared memory this end relies on none: which calls were posted, and whether a
// thread is there, it remembers by itself.
//
// Lives in: service processes. A lane holds its mutex for what is not said to be of the thread that
// attends.
#ifndef SERVING_LANE_LANE_MAILBOX_H_
#define SERVING_LANE_LANE_MAILBOX_H_

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>

#include "absl/status/statusor.h"
#include "base/unique_fd.h"
#include "transport/lane_socket.h"
#include "transport/mailbox.h"
#include "transport/packet.h"

namespace capbroker::serving {

class LaneMailbox {
 public:
  // A request came by the socket. Any thread, without the lane's mutex.
  void NoteRequest(uint8_t flags);
  // Whether the requests of late would all have been posted.
  bool Wanted() const { return would_post_.load(std::memory_order_relaxed) >= kWanted; }

  // A thread attends: opens the mailbox. False: it is not wanted, there is none, or another thread
  // is still at it. `sent`: a new one, for the client.
  bool Open(UniqueFd& sent);
  // Nothing is posted any more. What was is to be taken: by the thread that goes, or by another one
  // because that thread is held up.
  void Close();
  // The thread that attended has gone.
  void Leave() { attended_ = false; }

  // Of the thread that attends:

  // Whether there is a request.
  bool Look() const { return mailbox_->LookForRequest(); }
  // Sleeps until there is, kCancelTickMs at most.
  bool Wait() { return mailbox_->WaitForRequest(); }

  // Of that thread, or of who has closed it, without the lane's mutex:

  // TRUST(worker). A request, its bytes in `buffer`, and its slot. None: there is none.
  // INVALID_ARGUMENT: what no honest client posts. INVARIANT(hostile-bytes-end-the-channel)
  struct Posted {
    int slot = 0;
    transport::ReceivedPacket packet;
  };
  absl::StatusOr<std::optional<Posted>> Take(transport::ReceiveBuffer& buffer);
  // What was taken is not served: the lane has ended.
  void Refuse(int slot) { mailbox_->AnswerOnLane(slot); }

  // `call` was taken from `slot`. False: the one before has no answer yet.
  bool Begin(int slot, uint64_t call);
  // Answers if `answer` is to a posted call. False: it is not, or has no room there; then it is
  // sent by the socket.
  bool Answer(const transport::OutgoingPacket& answer);
  // The lane is closed: nobody waits here for an answer any more.
  void Abandon();

 private:
  static constexpr int kWanted = 64;

  std::atomic<int> would_post_{0};  // of the last requests, in a row
  std::atomic<bool> client_has_none_{false};
  std::unique_ptr<transport::Mailbox> mailbox_;
  bool attended_ = false;
  // By slot: the calls that are not answered.
  std::array<std::optional<uint64_t>, transport::Mailbox::kSlots> posted_;
  int unanswered_ = 0;
};

}  // namespace capbroker::serving

#endif  // SERVING_LANE_LANE_MAILBOX_H_
