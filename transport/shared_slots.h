// The client end of a mailbox of several lanes (transport/shared_mailbox.h): which call is in which
// slot.
//
// Lives in: whoever holds a channel. Thread-safe; answers are collected by one thread, the loop's.
#ifndef TRANSPORT_SHARED_SLOTS_H_
#define TRANSPORT_SHARED_SLOTS_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "transport/lane_socket.h"
#include "transport/looped_lane.h"
#include "transport/shared_mailbox.h"

namespace capbroker::transport {

class SharedSlots {
 public:
  // `key`: what shows the service that its memory is this holder's.
  SharedSlots(std::unique_ptr<SharedMailbox> mailbox, std::string key);

  const std::string& key() const { return key_; }

  // Any thread:

  SharedMailbox::Resting service_rests() const { return mailbox_->service_rests(); }
  void RouseService(SharedMailbox::Resting resting) { mailbox_->RouseService(resting); }
  // For a call of `lane`. None: all are in use.
  std::optional<int> Take(std::shared_ptr<LoopedLane> lane, uint64_t call)
      ABSL_LOCKS_EXCLUDED(mutex_);
  // The call for which it was taken has ended.
  void GiveBack(int slot, const LoopedLane& lane, uint64_t call) ABSL_LOCKS_EXCLUDED(mutex_);
  // As PutRequest(): the lane's number is the service's.
  bool Put(int slot, uint32_t lane, const OutgoingPacket& request) {
    return mailbox_->PutRequest(slot, lane, request);
  }
  bool Withdraw(int slot) { return mailbox_->Withdraw(slot); }

  // The loop's thread:

  // Gives up to `most` answers to their lanes. True: there were any.
  bool Collect(int most) ABSL_LOCKS_EXCLUDED(mutex_);
  // False: there is an answer.
  bool Rest() { return mailbox_->RestClient(); }

 private:
  struct Use {
    std::shared_ptr<LoopedLane> lane;  // null: its call has ended
    uint64_t call = 0;
  };

  Use Release(int slot) ABSL_LOCKS_EXCLUDED(mutex_);

  const std::unique_ptr<SharedMailbox> mailbox_;
  const std::string key_;
  absl::Mutex mutex_;
  std::vector<Use> uses_ ABSL_GUARDED_BY(mutex_);
  // The one that was used last is taken first: its memory is in the cache.
  std::vector<int> free_ ABSL_GUARDED_BY(mutex_);
  // The service has not left them yet.
  std::vector<int> ended_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace capbroker::transport

#endif  // TRANSPORT_SHARED_SLOTS_H_
