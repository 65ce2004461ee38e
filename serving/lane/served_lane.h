// The service end of one lane: packets in, calls, packets out. What only a busy lane has is in
// served_lane_busy.cc.
//
// Lives in: service processes, the broker. Several threads may serve one lane at
// once; shared by the loop, its calls and its owner.
#ifndef SERVING_LANE_SERVED_LANE_H_
#define SERVING_LANE_SERVED_LANE_H_

#include <grpcpp/support/status.h>

#include <atomic>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "base/unique_fd.h"
#include "serving/channel/channel_state.h"
#include "serving/events/event_loop.h"
#include "serving/lane/kept_memory.h"
#include "serving/lane/lane_group.h"
#include "serving/lane/lane_mailbox.h"
#include "serving/lane/lane_memory.h"
#include "serving/lane/lane_outbox.h"
#include "serving/lane/lane_server.h"
#include "serving/lane/method_table.h"
#include "transport/lane_socket.h"
#include "transport/packet.h"
#include "transport/polling.h"

namespace capbroker::serving {

class LaneCall;

class ServedLane final : public Watcher,
                         public GroupedLane,
                         public std::enable_shared_from_this<ServedLane> {
 public:
  ServedLane(LaneServer* server, UniqueFd lane, std::shared_ptr<const MethodTable> methods,
             std::shared_ptr<ChannelState> state, std::function<void()> closed);
  ~ServedLane() override;

  // Starts watching the lane.
  absl::Status Start();

  // Tells the client that a successor serves it: what is unread in the socket is
  // taken, and every other call in flight ends with UNAVAILABLE. Before Start().
  void BeginEpoch();

  // Ends the calls in flight with `status`, which is sent.
  void FailCalls(const absl::Status& status) ABSL_LOCKS_EXCLUDED(mutex_);

  // Closes when what is to be sent is sent.
  void CloseWhenSent() ABSL_LOCKS_EXCLUDED(mutex_);

  // Serves no more; the client sees the end of the lane. Any thread.
  void Close() override ABSL_LOCKS_EXCLUDED(mutex_);

  ChannelState* state() const { return state_.get(); }
  FdRef fd() const { return lane_; }

  // Watcher:
  Left OnReady(uint32_t events) override;
  bool BeginAttending() override;
  bool Attend() override;
  bool BeginBeside() override ABSL_LOCKS_EXCLUDED(mutex_);
  bool AttendBeside() override;
  void EndBeside() override ABSL_LOCKS_EXCLUDED(mutex_);
  void SuspendBeside() override ABSL_LOCKS_EXCLUDED(mutex_);

  // GroupedLane:
  bool ServePut(const LaneGroup& group, int slot, transport::ReceivedPacket request) override
      ABSL_LOCKS_EXCLUDED(mutex_);

  // For LaneCall:
  void SendReply(uint64_t call, const grpc::Status& status,
                 const std::multimap<std::string, std::string>& initial,
                 const std::multimap<std::string, std::string>& trailing,
                 const google::protobuf::Message& response, std::vector<UniqueFd> descriptors,
                 KeptMemory::Loan& loan) ABSL_LOCKS_EXCLUDED(mutex_);
  void SendFailure(uint64_t call, const grpc::Status& status);
  void Forget(LaneCall& call) ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  using CallPtr = std::shared_ptr<LaneCall>;

  // One for each thread of the loop, for as long as it reads.
  static transport::ReceiveBuffer& Received();
  Left Drain() ABSL_LOCKS_EXCLUDED(mutex_);
  std::optional<transport::ReceivedPacket> Receive(transport::Blocking blocking)
      ABSL_LOCKS_EXCLUDED(mutex_);
  std::optional<CallPtr> TakePosted() ABSL_LOCKS_EXCLUDED(mutex_);
  void RunAttended(CallPtr call) ABSL_LOCKS_EXCLUDED(mutex_);
  bool RunsHere(const LaneCall& call) const;
  void Rearm() ABSL_LOCKS_EXCLUDED(mutex_);
  CallPtr Accept(transport::ReceivedPacket packet) ABSL_LOCKS_EXCLUDED(mutex_);
  absl::StatusOr<CallPtr> Admit(const transport::PacketHeader& header) ABSL_LOCKS_EXCLUDED(mutex_);
  void MakeBuffer(const transport::PacketHeader& header) ABSL_LOCKS_EXCLUDED(mutex_);
  absl::Status Reserve(uint64_t call, size_t bytes) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void CancelCall(uint64_t id) ABSL_LOCKS_EXCLUDED(mutex_);
  void JoinGroup(absl::string_view keys) ABSL_LOCKS_EXCLUDED(mutex_);
  void LeaveGroup() ABSL_LOCKS_EXCLUDED(mutex_);
  void Schedule(CallPtr call) ABSL_LOCKS_EXCLUDED(mutex_);
  void RunCall(CallPtr call) ABSL_LOCKS_EXCLUDED(mutex_);
  void RunNow(LaneCall& call) ABSL_LOCKS_EXCLUDED(mutex_);
  void RunQueued() ABSL_LOCKS_EXCLUDED(mutex_);
  CallPtr NextQueued() ABSL_LOCKS_EXCLUDED(mutex_);
  void Transmit(const transport::PacketHeader& header, absl::string_view metadata,
                absl::string_view message, std::vector<UniqueFd> descriptors)
      ABSL_LOCKS_EXCLUDED(mutex_);
  void Flush() ABSL_LOCKS_EXCLUDED(mutex_);
  void FailUnsent(uint64_t call, const absl::Status& refused, bool bare)
      ABSL_LOCKS_EXCLUDED(mutex_);

  LaneServer* const server_;
  const std::shared_ptr<std::atomic<int>> lanes_;  // the server's
  const UniqueFd lane_;
  const transport::ClientDescriptors descriptors_;
  const std::shared_ptr<const MethodTable> methods_;
  const std::shared_ptr<ChannelState> state_;

  LaneMailbox mailbox_;  // guarded as it says
  // A lane of a group, and its calls that came by the group's mailbox.
  struct Grouped {
    std::shared_ptr<LaneGroup> group;
    uint32_t lane = 0;
    struct Put {
      uint64_t call;
      int slot;
    };
    std::vector<Put> put;

    // The slot of a call, which is over; none: it came by the socket.
    std::optional<int> TakeSlot(uint64_t call);
  };

  // Asked with the loop's mutex held.
  std::atomic<bool> is_grouped_{false};

  // Of the thread that attends.
  transport::Polling polling_;
  // What replies tell: that thread looks for the next request before it sleeps.
  std::atomic<bool> looks_next_{false};

  absl::Mutex mutex_;
  uint64_t watch_ ABSL_GUARDED_BY(mutex_) = 0;
  bool closing_ ABSL_GUARDED_BY(mutex_) = false;
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
  std::function<void()> on_closed_ ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_map<uint64_t, CallPtr> calls_ ABSL_GUARDED_BY(mutex_);
  LaneMemory memory_ ABSL_GUARDED_BY(mutex_);
  size_t bytes_in_flight_ ABSL_GUARDED_BY(mutex_) = 0;
  int running_ ABSL_GUARDED_BY(mutex_) = 0;
  std::deque<CallPtr> queue_ ABSL_GUARDED_BY(mutex_);
  LaneOutbox outbox_ ABSL_GUARDED_BY(mutex_);
  Grouped grouped_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace capbroker::serving

#endif  // SERVING_LANE_SERVED_LANE_H_
