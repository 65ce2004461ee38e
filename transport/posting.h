// When the client end of a lane posts a call to the lane's mailbox, and not to its socket.
//
// A call is posted if it fits, there is a slot for it, it brings no descriptors back, and it
// follows the answer to an earlier one at once: then a thread of the service waits for it there. A
// moment later the socket is better: its sender wakes the receiver on the sender's CPU, which
// futex(2) does not, and it tells when the service is another process by now.
//
// Lives in: whoever holds a channel. The lane's client holds its mutex for what is not said to be
// of the posting thread.
#ifndef TRANSPORT_POSTING_H_
#define TRANSPORT_POSTING_H_

#include <cstdint>
#include <memory>

#include "absl/status/statusor.h"
#include "base/unique_fd.h"
#include "transport/lane_socket.h"
#include "transport/mailbox.h"
#include "transport/packet.h"
#include "transport/polling.h"

namespace capbroker::transport {

// How long after an answer a call is posted, at most.
inline constexpr int64_t kPostWithinNs = 200'000;

// So many calls of a method are not posted after one whose answer had no room.
inline constexpr int kUnpostedAfter = 64;

// Where a call is posted, or was to be.
struct PostedPlace {
  std::shared_ptr<Mailbox> mailbox;  // null: nowhere
  int slot = 0;
  bool alone = false;   // no other call was in flight
  bool posted = false;  // otherwise it went to the socket
  bool at_bell = false;
  bool on_lane = false;  // it was posted, and its answer comes by the socket
};

class Posting {
 public:
  explicit Posting(int64_t within_ns) : within_ns_(within_ns) {}

  // What the service has sent. One that cannot be used is none.
  void Take(FdRef memfd);
  // Another process serves the lane, or another one holds it.
  void Forget() { mailbox_ = nullptr; }
  bool has(const Mailbox& mailbox) const { return mailbox_.get() == &mailbox; }
  // Or null.
  const std::shared_ptr<Mailbox>& mailbox() const { return mailbox_; }

  // For a call of `method` that has room, which is in flight `alone`, or whose answer is waited for
  // at the bell.
  struct Choice {
    PostedPlace place;
    uint8_t flags = 0;  // of its request
  };
  Choice Choose(uint64_t method, bool alone, bool at_bell);
  // The call goes to the socket after all.
  void Leave(PostedPlace& place);
  // A call has ended.
  void NoteEnd(uint64_t method, PostedPlace& place);
  // Calls that were posted, so far.
  uint64_t posted() const { return posted_; }

  // Of the posting thread:

  // False: the service does not wait for it.
  bool Post(const PostedPlace& place, const OutgoingPacket& request);
  // Looks, if that pays, or sleeps for `most_ns`.
  Mailbox::Answer Wait(const PostedPlace& place, int64_t most_ns);
  // The answer to `call`, copied to `bytes`, Mailbox::kCapacity of them. INVALID_ARGUMENT: what no
  // honest service answers.
  absl::StatusOr<ReceivedPacket> Read(const PostedPlace& place, uint64_t call, char* bytes);

 private:
  // Where several threads call, they have a use for the CPU.
  bool Looks(const PostedPlace& place) const {
    return place.alone && service_awake_ && polling_.looks();
  }

  const int64_t within_ns_;
  std::shared_ptr<Mailbox> mailbox_;
  int64_t answered_ns_ = 0;
  uint64_t posted_ = 0;
  uint64_t on_lane_ = 0;  // the method whose answer had no room last
  int unposted_ = 0;      // calls of that method which are not posted therefore
  // Of the posting thread whose call is in flight alone; there is one at a time.
  Polling polling_;
  bool service_awake_ = false;
};

}  // namespace capbroker::transport

#endif  // TRANSPORT_POSTING_H_
