// Lanes of one holder whose calls come by one mailbox (transport/shared_mailbox.h): its service
// end, at which the event loop looks before it waits.
//
// Of the words in the shared memory this end relies on none: which slots have calls, and whose
// lanes these are, it remembers by itself. A lane joins because a packet on it says so, with a key
// that only who has the memory, or was given it, knows; so whoever can call on it by the memory was
// let to by its holder.
//
// Lives in: service processes. Thread-safe.
#ifndef SERVING_LANE_LANE_GROUP_H_
#define SERVING_LANE_LANE_GROUP_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "base/unique_fd.h"
#include "serving/events/event_loop.h"
#include "transport/lane_socket.h"
#include "transport/packet.h"
#include "transport/shared_mailbox.h"

namespace capbroker::serving {

class LaneGroup;

// What a group does with a lane of its own.
class GroupedLane {
 public:
  virtual ~GroupedLane() = default;
  // TRUST(worker). A request, whose answer goes to `slot`; valid during the call. Runs its handler.
  // False: the lane is closed, or no longer in the group.
  virtual bool ServePut(const LaneGroup& group, int slot, transport::ReceivedPacket request) = 0;
  // What no honest client puts there: the lane ends. INVARIANT(hostile-bytes-end-the-channel)
  virtual void Close() = 0;
};

class LaneGroup final : public Inbox {
 public:
  // `shared`: its memory, for the client.
  static absl::StatusOr<std::shared_ptr<LaneGroup>> Make(UniqueFd& shared);

  bool HasKey(absl::string_view key) const;
  const std::string& key() const { return key_; }

  // Gives the number by which its requests name the lane. No later lane has it.
  uint32_t Add(std::weak_ptr<GroupedLane> lane) ABSL_LOCKS_EXCLUDED(mutex_);
  // False: none is left.
  bool Remove(uint32_t lane) ABSL_LOCKS_EXCLUDED(mutex_);

  // The answer to the call in `slot`, which is over with that. Put: by the mailbox; otherwise it is
  // to be sent by the socket. A client that was seen to rest is told when it was.
  struct Answered {
    bool put = false;
    transport::SharedMailbox::Resting client_rests;
  };
  Answered Answer(int slot, const transport::OutgoingPacket& answer);
  void RouseClient(transport::SharedMailbox::Resting resting) { mailbox_->RouseClient(resting); }
  // There is none.
  void Leave(int slot) { mailbox_->Leave(slot); }

  // Inbox:
  bool Serve() override ABSL_LOCKS_EXCLUDED(mutex_);
  bool Rest() override { return mailbox_->RestService(); }
  bool HasWork() const override { return mailbox_->HasRequest(); }

 private:
  LaneGroup(std::unique_ptr<transport::SharedMailbox> mailbox, std::string key);
  void ServeSlot(int slot) ABSL_LOCKS_EXCLUDED(mutex_);

  const std::unique_ptr<transport::SharedMailbox> mailbox_;
  const std::string key_;
  absl::Mutex mutex_;
  uint32_t next_ ABSL_GUARDED_BY(mutex_) = 0;
  absl::flat_hash_map<uint32_t, std::weak_ptr<GroupedLane>> lanes_ ABSL_GUARDED_BY(mutex_);
};

// Those of a process. A bounded number: who joins when there are as many stays with the socket.
class LaneGroups {
 public:
  explicit LaneGroups(EventLoop* loop) : loop_(loop) {}

  struct Joined {
    std::shared_ptr<LaneGroup> group;  // null: there is to be none
    uint32_t lane = 0;
    UniqueFd shared;  // of a new one
  };
  // `keys`: of the groups that the lane's holder has, one after another.
  Joined Join(std::weak_ptr<GroupedLane> lane, absl::string_view keys) ABSL_LOCKS_EXCLUDED(mutex_);
  // Also if the lane is closed.
  void Leave(const std::shared_ptr<LaneGroup>& group, uint32_t lane) ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  EventLoop* const loop_;
  absl::Mutex mutex_;
  std::vector<std::shared_ptr<LaneGroup>> groups_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace capbroker::serving

#endif  // SERVING_LANE_LANE_GROUP_H_
