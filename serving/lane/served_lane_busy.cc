// How the calls of a busy lane come: to a thread that attends it, there by its mailbox, and by one
// that it shares with others.
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "serving/lane/lane_call.h"
#include "serving/lane/served_lane.h"
#include "transport/packet.h"

namespace capbroker::serving {

using transport::PacketHeader;
using transport::PacketType;

// Who waits beside the loop would not hear of what wakes it for a lane's group.
bool ServedLane::BeginAttending() {
  return !is_grouped_.load() && transport::SetCancelTick(lane_).ok();
}

// What comes while a handler here is held up finds the loop again (LoopThreads).
bool ServedLane::Attend() {
  std::optional<transport::ReceivedPacket> packet;
  const auto look = [&] { return (packet = Receive(transport::Blocking::kDontWait)).has_value(); };
  const bool awake = polling_.looks() && polling_.Look(look);
  if (!awake) packet = Receive(transport::Blocking::kWait);
  if (packet) polling_.Earn();
  looks_next_.store(packet && polling_.looks(), std::memory_order_relaxed);
  if (!packet) return false;
  RunAttended(Accept(*std::move(packet)));
  // The lane is given back, and attended at its mailbox soon.
  return !mailbox_.Wanted() && !is_grouped_.load();
}

void ServedLane::RunAttended(CallPtr call) {
  if (call == nullptr) return;
  if (RunsHere(*call)) {
    call->Run();
  } else {
    RunCall(std::move(call));
  }
}

bool ServedLane::BeginBeside() {
  UniqueFd memory;
  {
    absl::MutexLock lock(&mutex_);
    if (closed_ || !mailbox_.Open(memory)) return false;
  }
  if (memory.valid()) {
    PacketHeader header = {};
    header.type = PacketType::kMailbox;
    std::vector<UniqueFd> descriptors;
    descriptors.push_back(std::move(memory));
    Transmit(header, {}, {}, std::move(descriptors));
  }
  return true;
}

bool ServedLane::AttendBeside() {
  const bool awake = polling_.looks() && polling_.Look([&] { return mailbox_.Look(); });
  const bool posted = awake || mailbox_.Wait();
  if (posted) polling_.Earn();
  looks_next_.store(posted && polling_.looks(), std::memory_order_relaxed);
  std::optional<CallPtr> call;
  if (posted) call = TakePosted();
  if (!call) return false;
  RunAttended(*std::move(call));
  return true;
}

void ServedLane::EndBeside() {
  SuspendBeside();
  absl::MutexLock lock(&mutex_);
  mailbox_.Leave();
}

void ServedLane::SuspendBeside() {
  looks_next_.store(false, std::memory_order_relaxed);
  mailbox_.Close();
  // No more than an honest client has posted.
  for (int i = 0; i < transport::Mailbox::kSlots; ++i) {
    std::optional<CallPtr> call = TakePosted();
    if (!call) return;
    if (*call != nullptr) Schedule(*std::move(call));
  }
}

// TRUST(worker). A posted call to run, or null; nothing: there is none, or the lane is closed.
std::optional<ServedLane::CallPtr> ServedLane::TakePosted() {
  absl::StatusOr<std::optional<LaneMailbox::Posted>> posted = mailbox_.Take(Received());
  if (posted.ok()) {
    if (!posted->has_value()) return std::nullopt;
    absl::MutexLock lock(&mutex_);
    if (closed_) {
      mailbox_.Refuse((*posted)->slot);
      return std::nullopt;
    }
    if (!mailbox_.Begin((*posted)->slot, (*posted)->packet.view.header.call)) {
      posted = absl::InvalidArgumentError("posted while another call is");
    }
  }
  if (!posted.ok()) {
    // INVARIANT(hostile-bytes-end-the-channel)
    Close();
    return std::nullopt;
  }
  return Accept(std::move((*posted)->packet));
}

std::optional<int> ServedLane::Grouped::TakeSlot(uint64_t call) {
  for (Put& candidate : put) {
    if (candidate.call != call) continue;
    const int slot = candidate.slot;
    candidate = put.back();
    put.pop_back();
    return slot;
  }
  return std::nullopt;
}

// TRUST(worker). A former holder of the lane may have joined it to a group of its own.
void ServedLane::JoinGroup(absl::string_view keys) {
  // The broker's own lanes are not busy.
  if (state_ == nullptr || keys.size() % transport::kJoinKeySize != 0 ||
      keys.size() > transport::kMaxJoinKeys * transport::kJoinKeySize) {
    return Close();
  }
  LeaveGroup();
  LaneGroups::Joined joined = server_->groups_.Join(shared_from_this(), keys);
  PacketHeader header = {};
  header.type = PacketType::kShared;
  header.method = joined.lane;
  std::vector<UniqueFd> descriptors;
  if (joined.shared.valid()) descriptors.push_back(std::move(joined.shared));
  bool closed = false;
  if (joined.group != nullptr) {
    absl::MutexLock lock(&mutex_);
    closed = closed_;
    if (!closed) grouped_ = {joined.group, joined.lane, {}};
    is_grouped_.store(!closed);
  }
  if (closed) return server_->groups_.Leave(joined.group, joined.lane);
  Transmit(header, {}, joined.group == nullptr ? "" : joined.group->key(), std::move(descriptors));
}

void ServedLane::LeaveGroup() {
  Grouped left;
  {
    absl::MutexLock lock(&mutex_);
    left = std::exchange(grouped_, {});
    is_grouped_.store(false);
  }
  if (left.group == nullptr) return;
  // Their answers go by the socket.
  for (const Grouped::Put& put : left.put) left.group->Leave(put.slot);
  server_->groups_.Leave(left.group, left.lane);
}

bool ServedLane::ServePut(const LaneGroup& group, int slot, transport::ReceivedPacket request) {
  {
    absl::MutexLock lock(&mutex_);
    if (closed_ || grouped_.group.get() != &group) return false;
    grouped_.put.push_back({request.view.header.call, slot});
  }
  RunAttended(Accept(std::move(request)));
  return true;
}

}  // namespace capbroker::serving
