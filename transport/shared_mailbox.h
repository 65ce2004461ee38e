// Calls of many lanes of one holder in shared memory, for who waits for all of them at once.
//
// A client with an event loop (transport/callback_loop.h), and the event loop of a service process,
// each work off what has come before they wait. While they do, a packet that is put into memory
// costs no system call, and whoever has put it goes on. Each end says when it *rests*: it waits
// for its sockets and looks here no more. A packet then goes by the socket of its lane, which
// wakes the other end, and whose sender may tell the others so: from then on they put theirs here,
// because who was woken looks. That is exact: who rests says so first and looks once more then; who
// puts, puts first and then asks whether the other rests, and takes the packet back if it does.
//
// A *slot* holds a request, and then the answer in its place. The service makes the memory for the
// lanes that its holder declares to be its own (PacketType::kJoin). Whoever has it mapped can call
// on all of them; it grants no more than what those lanes, together, grant.
//
// Each end can write all of the memory at any time. So either end copies a packet out before it
// looks at it, remembers by itself which slots are in use, and believes nothing that the memory
// says about the other end but whether it rests: a false word delays the calls of these lanes
// alone.
//
// Lives in: both ends. Functions of different slots run beside each other.
#ifndef TRANSPORT_SHARED_MAILBOX_H_
#define TRANSPORT_SHARED_MAILBOX_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

#include "absl/status/statusor.h"
#include "base/unique_fd.h"
#include "transport/lane_socket.h"
#include "transport/packet.h"
#include "transport/posted_packet.h"

namespace capbroker::transport {

class SharedMailbox {
 public:
  static constexpr int kSlots = 1024;
  // Bytes of a packet that has room, header included.
  static constexpr size_t kCapacity = 500;

  // Service side; `shared`: a descriptor of it, to send.
  static absl::StatusOr<std::unique_ptr<SharedMailbox>> Make(UniqueFd& shared);
  // What the service has sent. Errors as FixedSize(). Client side.
  static absl::StatusOr<std::unique_ptr<SharedMailbox>> Map(FdRef memfd);
  ~SharedMailbox();
  SharedMailbox(const SharedMailbox&) = delete;
  SharedMailbox& operator=(const SharedMailbox&) = delete;

  // Whether a packet can be put here. It carries no descriptors.
  static constexpr bool HasRoom(size_t metadata, size_t message) {
    return PostedPacket<kCapacity>::HasRoom(metadata, message);
  }
  static bool Fits(const OutgoingPacket& packet) { return PostedPacket<kCapacity>::Fits(packet); }

  // An end that rests, as it has said last: for Rouse().
  using Resting = std::optional<uint32_t>;

  // Client side.

  Resting service_rests() const { return RestOf(kToService); }
  // The service has been sent a packet since it was seen to rest: it looks here by now, or will.
  void RouseService(Resting resting) { Rouse(kToService, resting); }
  // A request that fits, of the lane that the service knows by this number, in a slot that is free.
  // False: the service rests, and the request was taken back.
  bool PutRequest(int slot, uint32_t lane, const OutgoingPacket& request);
  // Takes a request back that the service has not taken.
  bool Withdraw(int slot);
  // Whether the service does nothing more in the slot.
  bool IsLeft(int slot) const;
  // A slot with an answer, each in its turn, and the answer copied to `bytes`, kCapacity of them.
  std::optional<int> TakeAnswer() { return Take(kToClient); }
  size_t ReadAnswer(int slot, char* bytes) const;
  // False: there is an answer.
  bool RestClient() { return Rest(kToClient); }

  // Service side.

  Resting client_rests() const { return RestOf(kToClient); }
  void RouseClient(Resting resting) { Rouse(kToClient, resting); }
  std::optional<int> TakeRequest() { return Take(kToService); }
  // A request was taken. False: the slot has a call that is not answered.
  bool Begin(int slot) { return !called_[static_cast<size_t>(slot)].exchange(true); }
  // Copies a request that was taken to `bytes`; tells its lane. Gives its size.
  size_t ReadRequest(int slot, uint32_t& lane, char* bytes) const;
  bool HasRequest() const { return Any(kToService); }
  // An answer that fits, and the end of the call. False: the client rests, and the answer goes by
  // the socket.
  bool PutAnswer(int slot, const OutgoingPacket& answer);
  // The same where it goes by the socket, or there is none.
  void Leave(int slot);
  // False: there is a request.
  bool RestService() { return Rest(kToService); }

 private:
  struct Memory;
  enum Way { kToService, kToClient };

  explicit SharedMailbox(Memory* memory) : memory_(*memory) {}
  static absl::StatusOr<std::unique_ptr<SharedMailbox>> MapMemory(FdRef memfd);
  Resting RestOf(Way way) const;
  void Rouse(Way way, Resting resting);
  bool Rest(Way way);
  bool Put(Way way, int slot);
  bool TakeBack(Way way, int slot);
  std::optional<int> Take(Way way);
  bool Any(Way way) const;

  Memory& memory_;
  // Of this end: what it has said last, and where it takes next.
  std::atomic<uint32_t> said_{1};
  std::atomic<int> turn_{0};
  // By slot, at the service end: it has a call that is not answered.
  std::array<std::atomic<bool>, kSlots> called_ = {};
};

}  // namespace capbroker::transport

#endif  // TRANSPORT_SHARED_MAILBOX_H_
