// A call of a busy lane in shared memory: the request is written there and the answer in its place,
// and whoever waits sleeps on a word of it (futex(2)).
//
// That costs the kernel less than a packet each way: the benchmark's stub_unary is posted, and
// stub_callback is not. The socket stays what the lane is: who holds it is the client, it tells
// when a peer is gone, and it carries what a mailbox does not: descriptors, large messages, a
// second call meanwhile, a cancellation. A mailbox is a page that the service makes when a thread
// of it attends the lane (serving/events/loop_threads.h), and sends; it is open while that thread
// is there, and one call at a time is posted to it.
//
// Each end can write all of the page at any time, and a client that has it mapped is who had the
// lane once. So either end copies a packet out before it looks at it, and believes nothing that the
// page says about the other end but where it waits: a false word delays, or ends, the calls of this
// lane alone. What the service admits it decides from the lane, as for a packet of the socket.
//
// Lives in: both ends of a lane. Of each end's functions those that wait are for one thread at a
// time; the others say what they may run beside.
#ifndef TRANSPORT_MAILBOX_H_
#define TRANSPORT_MAILBOX_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/unique_fd.h"
#include "transport/lane_socket.h"
#include "transport/packet.h"

namespace capbroker::transport {

class Mailbox {
 public:
  // Bytes of a packet that has room, header included.
  static constexpr size_t kCapacity = 1920;

  // Closed. Service side.
  static absl::StatusOr<std::unique_ptr<Mailbox>> Make();
  // What the service has sent. Errors as FixedSize(). Client side.
  static absl::StatusOr<std::unique_ptr<Mailbox>> Map(FdRef memfd);
  ~Mailbox();
  Mailbox(const Mailbox&) = delete;
  Mailbox& operator=(const Mailbox&) = delete;

  // Whether a packet can be posted, or be the answer. It carries no descriptors.
  static constexpr bool HasRoom(size_t metadata, size_t message) {
    return metadata <= kCapacity && message <= kCapacity &&
           sizeof(PacketHeader) + metadata + message <= kCapacity;
  }
  static bool Fits(const OutgoingPacket& packet) {
    return packet.descriptors.empty() && !IsInMemory(packet.header.flags) &&
           HasRoom(packet.metadata.size(), packet.message.size());
  }

  // Client side.

  // Posts a request that fits. False: nobody waits for it, or an earlier one is not answered.
  // `sleeps`: what is to be done next is to sleep.
  bool Post(const OutgoingPacket& request, bool sleeps);
  enum class Answer {
    kNone,    // not yet
    kHere,    // to be read
    kOnLane,  // it comes as a packet of the socket, or the service has closed the lane
  };
  Answer LookForAnswer() const;
  // Sleeps for `most_ns`, at most. Awake for another reason: kNone.
  Answer WaitForAnswer(int64_t most_ns);
  // Copies the answer to `bytes`, kCapacity of them; gives its size.
  size_t ReadAnswer(char* bytes) const;
  // Takes the request back. False: the service has taken it.
  bool Withdraw();

  // Service side.

  // A descriptor to send.
  absl::StatusOr<UniqueFd> Share() const { return Duplicate(memfd_); }
  void Open();
  // Closes it. False: a request was posted, which is to be answered.
  bool Close();
  bool LookForRequest() const;
  // Sleeps for kCancelTickMs, at most. False: none came.
  bool WaitForRequest();
  // Copies the request to `bytes`, kCapacity of them; gives its size.
  size_t TakeRequest(char* bytes);
  // What the next request will find.
  enum class Next {
    kAwake,   // a thread that looks for it
    kAsleep,  // a thread that sleeps, or may
    kAway,    // nobody
  };
  // An answer that fits. While a thread waits for the next request, too.
  void PutAnswer(const OutgoingPacket& answer, Next next);
  // One that is sent by the socket.
  void AnswerOnLane(Next next);

 private:
  struct Page;
  Mailbox(UniqueFd memfd, Page* page) : memfd_(std::move(memfd)), page_(*page) {}
  static absl::StatusOr<std::unique_ptr<Mailbox>> MapPage(FdRef memfd);
  void EndCall(uint32_t answer, Next next);

  UniqueFd memfd_;  // of who has made it
  Page& page_;
};

}  // namespace capbroker::transport

#endif  // TRANSPORT_MAILBOX_H_
