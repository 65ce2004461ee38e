#include "transport/shared_slots.h"

#include <algorithm>

#include "absl/strings/string_view.h"

namespace capbroker::transport {

SharedSlots::SharedSlots(std::unique_ptr<SharedMailbox> mailbox, std::string key)
    : mailbox_(std::move(mailbox)), key_(std::move(key)) {
  absl::MutexLock lock(&mutex_);
  for (int slot = SharedMailbox::kSlots - 1; slot >= 0; --slot) free_.push_back(slot);
}

std::optional<int> SharedSlots::Take(std::shared_ptr<LoopedLane> lane, uint64_t call) {
  absl::MutexLock lock(&mutex_);
  if (free_.empty()) {
    const auto left = std::partition(ended_.begin(), ended_.end(),
                                     [this](int slot) { return !mailbox_->IsLeft(slot); });
    free_.assign(left, ended_.end());
    ended_.erase(left, ended_.end());
    if (free_.empty()) return std::nullopt;
  }
  const int slot = free_.back();
  free_.pop_back();
  // Those below were used before.
  if (uses_.size() <= static_cast<size_t>(slot)) uses_.resize(static_cast<size_t>(slot) + 1);
  uses_[static_cast<size_t>(slot)] = {std::move(lane), call};
  return slot;
}

void SharedSlots::GiveBack(int slot, const LoopedLane& lane, uint64_t call) {
  std::shared_ptr<LoopedLane> last;  // released without the lock
  absl::MutexLock lock(&mutex_);
  Use& use = uses_[static_cast<size_t>(slot)];
  // Or its answer was collected, and the slot is another call's by now.
  if (use.lane.get() != &lane || use.call != call) return;
  last = std::move(use.lane);
  (mailbox_->IsLeft(slot) ? free_ : ended_).push_back(slot);
}

bool SharedSlots::Collect(int most) {
  int collected = 0;
  for (; collected < most; ++collected) {
    const std::optional<int> slot = mailbox_->TakeAnswer();
    if (!slot) break;
    char bytes[SharedMailbox::kCapacity];
    const size_t size = mailbox_->ReadAnswer(*slot, bytes);
    const Use use = Release(*slot);
    if (use.lane != nullptr) use.lane->OnAnswer(use.call, absl::string_view(bytes, size));
  }
  return collected > 0;
}

// TRUST(service): perhaps no call is there, and none was.
SharedSlots::Use SharedSlots::Release(int slot) {
  absl::MutexLock lock(&mutex_);
  Use use;
  if (static_cast<size_t>(slot) < uses_.size()) use = std::move(uses_[static_cast<size_t>(slot)]);
  if (use.lane != nullptr) {
    free_.push_back(slot);
  } else if (const auto ended = std::find(ended_.begin(), ended_.end(), slot);
             ended != ended_.end()) {
    ended_.erase(ended);
    free_.push_back(slot);
  }
  return use;
}

}  // namespace capbroker::transport
