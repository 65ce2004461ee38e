// Calls of a busy lane in shared memory: a request is written there and the answer beside it, and
// whoever waits sleeps on a word of it (futex(2)).
//
// That costs the kernel less than a packet each way. And where several threads call, the service is
// woken once for all that they have posted meanwhile. The socket stays what the lane is: who holds
// it is the client, it tells when a peer is gone, and it carries what a mailbox does not:
// descriptors, large messages, calls beyond its slots, a cancellation. A mailbox is memory that the
// service makes when a thread of it attends the lane (serving/events/loop_threads.h), and sends; it
// is open while that thread is there. Its *slots* are one for each call in flight, its *door* is
// where the service sleeps, its *bell* where a client sleeps that waits for several calls.
//
// Each end can write all of the memory at any time, and a client that has it mapped is who had the
// lane once. So either end copies a packet out before it looks at it, and believes nothing that the
// memory says about the other end but where it waits: a false word delays, or ends, the calls of
// this lane alone. What the service admits it decides from the lane, as for a packet of the socket.
//
// Lives in: both ends of a lane. A slot is of one thread at a time at each end; the door is of the
// thread that attends. Functions of different slots, and of the two, run beside each other.
#ifndef TRANSPORT_MAILBOX_H_
#define TRANSPORT_MAILBOX_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/unique_fd.h"
#include "transport/lane_socket.h"
#include "transport/packet.h"
#include "transport/posted_packet.h"

namespace capbroker::transport {

class Mailbox {
 public:
  // Bytes of a packet that has room, header included.
  static constexpr size_t kCapacity = 1920;
  static constexpr int kSlots = 16;

  // Closed. Service side.
  static absl::StatusOr<std::unique_ptr<Mailbox>> Make();
  // What the service has sent. Errors as FixedSize(). Client side.
  static absl::StatusOr<std::unique_ptr<Mailbox>> Map(FdRef memfd);
  ~Mailbox();
  Mailbox(const Mailbox&) = delete;
  Mailbox& operator=(const Mailbox&) = delete;

  // Whether a packet can be posted, or be the answer. It carries no descriptors.
  static constexpr bool HasRoom(size_t metadata, size_t message) {
    return PostedPacket<kCapacity>::HasRoom(metadata, message);
  }
  static bool Fits(const OutgoingPacket& packet) { return PostedPacket<kCapacity>::Fits(packet); }

  // Client side.

  // A slot without a call, to be freed when its call has ended here. None: all have one, or
  // requests that were given up and that the service has not answered. By who holds the client's
  // mutex, both.
  std::optional<int> TakeSlot();
  void FreeSlot(int slot) { taken_ &= ~Bit(slot); }
  // How the answer is waited for.
  enum class Wait {
    kLooking,   // at the slot, where a sleeper may follow
    kSleeping,  // at the slot, at once
    kAtBell,    // by the thread that waits for the answers to all such calls
  };
  // Posts a request that fits. False: nobody waits for it.
  bool Post(int slot, const OutgoingPacket& request, Wait wait);
  enum class Answer {
    kNone,    // not yet
    kHere,    // to be read
    kOnLane,  // it comes as a packet of the socket, or the service has closed the lane
  };
  Answer LookForAnswer(int slot) const;
  // Sleeps for `most_ns`, at most. Awake for another reason: kNone.
  Answer WaitForAnswer(int slot, int64_t most_ns);
  // The bell, of one thread at a time: who sleeps there looks for answers after ListenForBell(),
  // and sleeps if there are none. Sleeps for `most_ns`, at most. False: it has, and nobody rang.
  void ListenForBell();
  bool WaitForBell(int64_t most_ns);
  // Any thread: there is something else to look for.
  void RingBell();
  // Copies the answer to `bytes`, kCapacity of them; gives its size.
  size_t ReadAnswer(int slot, char* bytes) const;
  // Takes the request back. False: the service has claimed it.
  bool Withdraw(int slot);

  // Service side.

  // A descriptor to send.
  absl::StatusOr<UniqueFd> Share() const { return Duplicate(memfd_); }
  void Open();
  // Nothing is posted any more; what was is to be claimed. Any thread; wakes the one that waits.
  void Close();
  bool LookForRequest() const;
  // Sleeps for kCancelTickMs, at most. False: none came.
  bool WaitForRequest();
  // The slot of a posted request, each in its turn, which is then this thread's. Any thread.
  std::optional<int> Claim();
  // Copies a claimed request to `bytes`, kCapacity of them; gives its size.
  size_t ReadRequest(int slot, char* bytes) const;
  // An answer that fits.
  void PutAnswer(int slot, const OutgoingPacket& answer);
  // One that is sent by the socket.
  void AnswerOnLane(int slot);

 private:
  struct Memory;
  Mailbox(UniqueFd memfd, Memory* memory) : memfd_(std::move(memfd)), memory_(*memory) {}
  static absl::StatusOr<std::unique_ptr<Mailbox>> MapMemory(FdRef memfd);
  static constexpr uint32_t Bit(int slot) { return uint32_t{1} << slot; }
  void EndCall(int slot, uint32_t answer);

  UniqueFd memfd_;  // of who has made it
  Memory& memory_;
  uint32_t taken_ = 0;         // slots, by the client
  std::atomic<int> turn_ = 0;  // the slot that is claimed first
};

}  // namespace capbroker::transport

#endif  // TRANSPORT_MAILBOX_H_
