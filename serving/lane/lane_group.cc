#include "serving/lane/lane_group.h"

#include <sys/random.h>

#include <algorithm>
#include <utility>

#include "absl/status/status.h"
#include "base/status_macros.h"
#include "transport/posted_packet.h"

namespace capbroker::serving {
namespace {

using transport::kJoinKeySize;
using transport::OutgoingPacket;
using transport::SharedMailbox;

// Before it is another group's turn, or a socket's. INVARIANT(nobody-spins-for-a-stranger)
constexpr int kCallsInATurn = 64;
// Each has half a megabyte of addresses, of which it uses as many slots as it has had calls at
// once.
constexpr size_t kMostGroups = 64;

}  // namespace

LaneGroup::LaneGroup(std::unique_ptr<SharedMailbox> mailbox, std::string key)
    : mailbox_(std::move(mailbox)), key_(std::move(key)) {}

absl::StatusOr<std::shared_ptr<LaneGroup>> LaneGroup::Make(UniqueFd& shared) {
  std::string key(kJoinKeySize, '\0');
  if (getrandom(key.data(), key.size(), GRND_NONBLOCK) != static_cast<ssize_t>(key.size())) {
    return absl::UnavailableError("make group of lanes: no random bytes");
  }
  CB_ASSIGN_OR_RETURN(std::unique_ptr<SharedMailbox> mailbox, SharedMailbox::Make(shared));
  return std::shared_ptr<LaneGroup>(new LaneGroup(std::move(mailbox), std::move(key)));
}

// In the same time, however much of it is right.
bool LaneGroup::HasKey(absl::string_view key) const {
  unsigned char different = 0;
  for (size_t i = 0; i < kJoinKeySize; ++i) {
    different |= static_cast<unsigned char>(key[i] ^ key_[i]);
  }
  return different == 0;
}

uint32_t LaneGroup::Add(std::weak_ptr<GroupedLane> lane) {
  absl::MutexLock lock(&mutex_);
  lanes_.emplace(next_, std::move(lane));
  return next_++;
}

bool LaneGroup::Remove(uint32_t lane) {
  absl::MutexLock lock(&mutex_);
  lanes_.erase(lane);
  return !lanes_.empty();
}

LaneGroup::Answered LaneGroup::Answer(int slot, const OutgoingPacket& answer) {
  if (!SharedMailbox::Fits(answer)) {
    mailbox_->Leave(slot);
    return {};
  }
  // Before it is put: if it rests then, it has been resting since at least as long.
  const SharedMailbox::Resting resting = mailbox_->client_rests();
  if (!resting && mailbox_->PutAnswer(slot, answer)) return {.put = true, .client_rests = {}};
  if (resting) mailbox_->Leave(slot);
  return {.put = false, .client_rests = resting};
}

bool LaneGroup::Serve() {
  int served = 0;
  for (; served < kCallsInATurn; ++served) {
    const std::optional<int> slot = mailbox_->TakeRequest();
    if (!slot) break;
    ServeSlot(*slot);
  }
  return served > 0;
}

void LaneGroup::ServeSlot(int slot) {
  const bool again = !mailbox_->Begin(slot);
  char bytes[SharedMailbox::kCapacity];
  uint32_t number = 0;
  const size_t size = mailbox_->ReadRequest(slot, number, bytes);
  std::shared_ptr<GroupedLane> lane;
  {
    absl::MutexLock lock(&mutex_);
    const auto found = lanes_.find(number);
    if (found != lanes_.end()) lane = found->second.lock();
  }
  const absl::StatusOr<transport::PacketView> view = transport::ParsePosted(
      absl::string_view(bytes, size), transport::PacketDirection::kToService);
  if (lane == nullptr || again || !view.ok()) {
    if (!again) Leave(slot);
    // No lane: it has been closed, and was called before its client knew.
    if (lane != nullptr) lane->Close();
    return;
  }
  transport::ReceivedPacket packet;
  packet.view = *view;
  if (!lane->ServePut(*this, slot, std::move(packet))) Leave(slot);
}

LaneGroups::Joined LaneGroups::Join(std::weak_ptr<GroupedLane> lane, absl::string_view keys) {
  Joined joined;
  absl::MutexLock lock(&mutex_);
  for (; keys.size() >= kJoinKeySize && joined.group == nullptr; keys.remove_prefix(kJoinKeySize)) {
    const auto named = std::find_if(groups_.begin(), groups_.end(),
                                    [&](const auto& group) { return group->HasKey(keys); });
    if (named != groups_.end()) joined.group = *named;
  }
  if (joined.group == nullptr) {
    if (groups_.size() >= kMostGroups) return joined;
    absl::StatusOr<std::shared_ptr<LaneGroup>> made = LaneGroup::Make(joined.shared);
    if (!made.ok()) return {};
    joined.group = *std::move(made);
    groups_.push_back(joined.group);
    loop_->Add(joined.group);
  }
  joined.lane = joined.group->Add(std::move(lane));
  return joined;
}

void LaneGroups::Leave(const std::shared_ptr<LaneGroup>& group, uint32_t lane) {
  absl::MutexLock lock(&mutex_);
  if (!group->Remove(lane)) {
    loop_->Remove(group);
    groups_.erase(std::remove(groups_.begin(), groups_.end(), group), groups_.end());
  }
  // The packet that was to wake the loop may have gone with the lane.
  loop_->Wake();
}

}  // namespace capbroker::serving
