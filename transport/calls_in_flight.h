// The calls of one lane that wait for their answers.
//
// Lives in: whoever holds a channel. Not thread-safe: the lane's client holds its mutex for
// every function of CallsInFlight, and for a call's members once the call was added.
#ifndef TRANSPORT_CALLS_IN_FLIGHT_H_
#define TRANSPORT_CALLS_IN_FLIGHT_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "base/unique_fd.h"
#include "transport/lane_socket.h"
#include "transport/message_bytes.h"
#include "transport/message_memory.h"
#include "transport/posting.h"
#include "transport/shared_slots.h"

namespace capbroker::transport {

// A call's answer. The views are valid while it is being consumed.
struct Reply {
  // A gRPC status code. Of one made here (the peer is gone, the deadline has
  // passed), `error` says why and the rest is empty.
  int32_t status = 0;
  std::string error;
  absl::string_view metadata;  // a serialised capbroker.v1.ReplyMetadata
  MessageBytes message;
  std::vector<UniqueFd> descriptors;
};

// An answer that was made here.
Reply FailedReply(const absl::Status& why);

// Memory that the lane keeps, as the service has numbered it.
struct KeptMessageMemory {
  std::unique_ptr<MessageMemory> memory;
  uint32_t number = 0;
};

// One call. On the stack of a waiting caller, or owned by CallsInFlight.
struct PendingCall {
  uint64_t id = 0;
  uint64_t method = 0;
  int64_t deadline_ns = 0;  // CLOCK_MONOTONIC; 0: none
  int64_t begun_ns = 0;     // some milliseconds early, but not late
  absl::CondVar ready;
  bool waiting = false;  // a follower sleeps on `ready`
  bool done = false;
  UniqueFd buffer;             // for a large request, once it has come
  uint32_t buffer_number = 0;  // of one to keep
  // What the lane keeps is at this call's disposal: `lent`, or none. Its thread writes there,
  // whatever has been answered.
  bool disposes = false;
  KeptMessageMemory lent;
  // Of the answer.
  bool gives_back = false;
  bool large = false;
  KeptMessageMemory brought;  // to be kept in place of what was
  Reply reply;                // when received by another thread: its views are of `storage`
  std::string storage;
  PostedPlace place;
  uint8_t posting_flags = 0;            // of its request
  std::shared_ptr<SharedSlots> shared;  // where it has `shared_slot`
  int shared_slot = 0;
  // Of a waiting caller.
  const absl::FunctionRef<void(Reply&)>* consume = nullptr;
  // Of a callback call.
  std::function<bool()> cancelled;
  std::function<void(Reply&)> callback;
};

// Why nobody waits for `call` any more, if that is so.
absl::Status LateOrCancelled(const PendingCall& call, absl::FunctionRef<bool()> cancelled);

// Fills in `reply` from a packet, the answer to `call`, and gives `read` its message, which is in
// the packet or in memory. RESOURCE_EXHAUSTED: larger than `most`; then nothing is read.
absl::Status Unpack(ReceivedPacket& packet, size_t most, PendingCall& call, Reply& reply,
                    absl::FunctionRef<void(MessageBytes)> read);

// A method that has answered so often in a row without a large message is expected to go on so.
inline constexpr int kSmallAgain = 16;

class CallsInFlight {
 public:
  explicit CallsInFlight(size_t max_message_size);

  // Numbers `call`. It is in flight until it completes, fails or is forgotten.
  void Add(PendingCall& call);
  void Forget(PendingCall& call) { calls_.erase(call.id); }
  // Null: it was answered, late or cancelled.
  PendingCall* Find(uint64_t id) const;
  bool empty() const { return calls_.empty(); }
  bool has_one() const { return calls_.size() == 1; }
  // A call whose thread sleeps, or null.
  PendingCall* Follower() const;

  // An answer has come for `call`, which `packet` is.
  void Store(ReceivedPacket& packet, PendingCall& call);
  void Complete(PendingCall& call);
  // Does nothing to a call that is done.
  void Fail(PendingCall& call, const absl::Status& why);
  void FailAll(const absl::Status& why);

  // Puts what the lane keeps for large messages at the disposal of `call`, if its request is large,
  // or if its method's answers are, and if no other call has it.
  void Lend(size_t request_size, PendingCall& call);
  // At the end of such a call, when its answer was consumed.
  void TakeBack(PendingCall& call);
  void KeepNothing() { kept_ = {}; }
  bool keeps_any() const { return kept_.memory != nullptr; }

  // Another process serves the lane since then, and will answer `survivors`, the ids of the calls
  // that it has found in the socket. Of those that were begun before every other one went to the
  // process that died.
  void BeginEpoch(absl::string_view survivors, int64_t since_ns);

  // Callback calls: owned here until they are taken to run their callbacks.
  void Own(std::unique_ptr<PendingCall> call);
  // Gives it back. Null: it is over.
  std::unique_ptr<PendingCall> Disown(uint64_t id);
  bool owns_sent() const { return owned_.size() > posted_.size(); }
  // Those whose answers come to the mailbox.
  const std::vector<PendingCall*>& posted() const { return posted_; }
  // No longer: it comes by the socket.
  void MoveToLane(PendingCall& call);
  // One that was answered, to run its callback.
  std::unique_ptr<PendingCall> TakeOwned(uint64_t id);
  std::unique_ptr<PendingCall> TakeCompleted();
  bool has_completed() const { return !completed_.empty(); }
  // Fails those of which `late` tells why, and tells `failed` of each before.
  void ExpireOwned(absl::FunctionRef<absl::Status(const PendingCall&)> late,
                   absl::FunctionRef<void(PendingCall&)> failed);

 private:
  void NoteAnswerSize(const PendingCall& call);
  void RemovePosted(const PendingCall& call);

  const size_t max_message_size_;
  uint64_t next_id_;
  absl::flat_hash_map<uint64_t, PendingCall*> calls_;
  absl::flat_hash_map<uint64_t, std::unique_ptr<PendingCall>> owned_;
  std::vector<PendingCall*> posted_;  // of those
  std::deque<std::unique_ptr<PendingCall>> completed_;
  bool lent_ = false;
  KeptMessageMemory kept_;
  uint64_t answers_large_ = 0;  // the method whose answers are expected to be large
  int small_answers_ = 0;       // of that method, in a row
};

}  // namespace capbroker::transport

#endif  // TRANSPORT_CALLS_IN_FLIGHT_H_
