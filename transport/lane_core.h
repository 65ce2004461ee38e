// What a LaneClient is, shared with its callback threads: the calls in flight, who receives for
// them, and the state that they need.
//
// Lives in: whoever holds a channel. Thread-safe. For transport/lane_client.cc alone; calls and
// what they send are in lane_core.cc, how their answers come in lane_core_answers.cc, and what is
// different where a loop runs the callbacks in lane_core_looped.cc.
#ifndef TRANSPORT_LANE_CORE_H_
#define TRANSPORT_LANE_CORE_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <thread>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "base/unique_fd.h"
#include "transport/callback_loop.h"
#include "transport/calls_in_flight.h"
#include "transport/lane_client.h"
#include "transport/lane_reader.h"
#include "transport/lane_socket.h"
#include "transport/looped_lane.h"
#include "transport/packet.h"
#include "transport/posting.h"
#include "transport/shared_mailbox.h"
#include "transport/shared_slots.h"

namespace capbroker::transport {

// Shared: a callback may destroy the client.
class LaneCore final : public LoopedLane, public std::enable_shared_from_this<LaneCore> {
 public:
  LaneCore(UniqueFd lane, size_t max_message_size, int64_t post_within_ns);

  void Call(const LaneRequest& request, absl::FunctionRef<bool()> cancelled,
            absl::FunctionRef<void(Reply&)> consume);
  void StartCall(const LaneRequest& request, std::function<bool()> cancelled,
                 std::function<void(Reply&)> done);
  void Close();
  void JoinCallbackThreads();
  absl::StatusOr<bool> Pump();
  absl::StatusOr<UniqueFd> Release();
  void UseExternalPump() { external_pump_ = true; }
  absl::Status CompleteIn(std::shared_ptr<CallbackLoop> loop) ABSL_LOCKS_EXCLUDED(mutex_);
  FdRef fd() const { return lane_; }
  uint64_t posted_calls() {
    absl::MutexLock lock(&mutex_);
    return posting_.posted() + calls_put_;
  }

  // LoopedLane:
  bool OnReady() override ABSL_LOCKS_EXCLUDED(mutex_);
  void OnTick() override ABSL_LOCKS_EXCLUDED(mutex_);
  void OnAnswer(uint64_t call, absl::string_view packet) override ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  bool Register(const LaneRequest& request, PendingCall& call) ABSL_LOCKS_EXCLUDED(mutex_);
  void ChooseMailbox(const LaneRequest& request, PendingCall& call)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool PostOwned(const LaneRequest& request, std::unique_ptr<PendingCall>& call)
      ABSL_LOCKS_EXCLUDED(mutex_);
  absl::Status SendRequest(const LaneRequest& request, PendingCall& call,
                           absl::FunctionRef<bool()> cancelled) ABSL_LOCKS_EXCLUDED(mutex_);
  absl::Status SendInMemory(const LaneRequest& request, PacketHeader header, PendingCall& call,
                            absl::FunctionRef<bool()> cancelled) ABSL_LOCKS_EXCLUDED(mutex_);
  absl::StatusOr<UniqueFd> AskForBuffer(const LaneRequest& request, PendingCall& call,
                                        absl::FunctionRef<bool()> cancelled)
      ABSL_LOCKS_EXCLUDED(mutex_);
  absl::Status SendOrWait(const OutgoingPacket& packet, const PendingCall& call,
                          absl::FunctionRef<bool()> cancelled) ABSL_LOCKS_EXCLUDED(mutex_);
  absl::Status AwaitPosted(const LaneRequest& request, PendingCall& call,
                           absl::FunctionRef<bool()> cancelled) ABSL_LOCKS_EXCLUDED(mutex_);
  void LookAtSocket() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool FailIfGivenUp(PendingCall& call, absl::FunctionRef<bool()> cancelled)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void WaitUntil(PendingCall& call, absl::FunctionRef<bool()> cancelled,
                 absl::FunctionRef<bool()> arrived) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Lead(PendingCall* own, Blocking blocking) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Deliver(ReceivedPacket packet, PendingCall* own) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Consume(ReceivedPacket& packet, PendingCall& own) ABSL_LOCKS_EXCLUDED(mutex_);
  void FailAll(const absl::Status& why) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void PassLeadership() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void ExpireAsync() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void HaveCompletedRun() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void RunCompleted() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void NeedCallbackThread() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void CallbackThread() ABSL_LOCKS_EXCLUDED(mutex_);
  bool NeedBellThread() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void BellThread() ABSL_LOCKS_EXCLUDED(mutex_);
  bool CollectPosted() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void EndOrphans() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void SendCancel(uint64_t id);
  bool ReceiveSome() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  // A service that was seen to rest, and when it said so.
  struct RestingService {
    std::shared_ptr<SharedSlots> shared;
    SharedMailbox::Resting since;
  };
  bool PutOwned(const LaneRequest& request, std::unique_ptr<PendingCall>& call,
                RestingService& resting) ABSL_LOCKS_EXCLUDED(mutex_);
  std::shared_ptr<SharedSlots> SharedFor(const LaneRequest& request, const PendingCall& call)
      ABSL_LOCKS_EXCLUDED(mutex_);
  void Join(const ReceivedPacket& packet) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void AskToJoin() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void SendLeave();
  void LeaveShared() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const size_t max_message_size_;
  bool external_pump_ = false;
  UniqueFd lane_;
  LaneReader reader_;  // the leader's

  absl::Mutex mutex_;
  Posting posting_;  // guarded as it says
  absl::CondVar callbacks_ready_;
  bool led_ ABSL_GUARDED_BY(mutex_) = false;
  bool closing_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Status broken_ ABSL_GUARDED_BY(mutex_);
  CallsInFlight calls_ ABSL_GUARDED_BY(mutex_);
  std::thread callback_thread_ ABSL_GUARDED_BY(mutex_);
  std::thread bell_thread_ ABSL_GUARDED_BY(mutex_);
  absl::CondVar posted_ready_;
  std::shared_ptr<Mailbox> bell_ ABSL_GUARDED_BY(mutex_);  // where that thread waits

  // Of a lane in a loop, which is set before the first call.
  std::shared_ptr<CallbackLoop> loop_;
  uint64_t id_in_loop_ = 0;
  int calls_until_join_ ABSL_GUARDED_BY(mutex_);
  bool joining_ ABSL_GUARDED_BY(mutex_) = false;                 // has asked
  std::shared_ptr<SharedSlots> shared_ ABSL_GUARDED_BY(mutex_);  // null: not joined
  uint32_t shared_number_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t calls_put_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace capbroker::transport

#endif  // TRANSPORT_LANE_CORE_H_
