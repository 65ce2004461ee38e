#include "transport/calls_in_flight.h"

#include <sys/random.h>
#include <time.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "base/status_macros.h"
#include "transport/bulk.h"
#include "transport/packet.h"

namespace capbroker::transport {
namespace {

int64_t NowNs(clockid_t clock) {
  timespec now;
  clock_gettime(clock, &now);
  return int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

// Where a client's call numbers begin. An end that another process used before has answers
// to its calls in the socket, perhaps: a number that is not in flight is nobody's.
// INVARIANT(descriptor-belongs-to-call)
uint64_t FirstCall() {
  uint64_t first = 0;
  if (getrandom(&first, sizeof first, GRND_NONBLOCK) != sizeof first) {
    first = static_cast<uint64_t>(NowNs(CLOCK_MONOTONIC));
  }
  return first;
}

}  // namespace

// Status codes of gRPC, which absl's equal; the core's header stays out of here.
Reply FailedReply(const absl::Status& why) {
  Reply reply;
  reply.status = static_cast<int32_t>(why.code());
  reply.error = std::string(why.message());
  return reply;
}

absl::Status Unpack(ReceivedPacket& packet, size_t most, PendingCall& call, Reply& reply,
                    absl::FunctionRef<void(MessageBytes)> read) {
  const PacketHeader& header = packet.view.header;
  const bool kept = (header.flags & kFlagKept) != 0;
  // Memory that is not given back may still be in use.
  call.gives_back = kept && (header.flags & kFlagBulk) == 0;
  call.large = IsInMemory(header.flags);
  reply.status = header.status;
  reply.metadata = packet.view.metadata;
  reply.descriptors = std::move(packet.descriptors);
  if (header.message_size > most) {
    reply.descriptors.clear();
    return absl::ResourceExhaustedError("response larger than its bound");
  }
  if (!IsInMemory(header.flags)) {
    read(packet.view.message);
    return absl::OkStatus();
  }
  MessageMemory* memory_of_lane = call.lent.memory.get();
  if ((header.flags & kFlagBulk) != 0) {
    const UniqueFd memory = std::move(reply.descriptors.back());
    reply.descriptors.pop_back();
    if (!kept) return ReadMessage(memory, header.message_size, read);
    if (!call.disposes) {
      return absl::InvalidArgumentError("malformed packet: memory that was not asked for");
    }
    CB_ASSIGN_OR_RETURN(call.brought.memory, MessageMemory::Map(memory, header.message_size));
    call.brought.number = header.memory;
    memory_of_lane = call.brought.memory.get();
  }
  if (memory_of_lane == nullptr || memory_of_lane->capacity() < header.message_size) {
    return absl::InvalidArgumentError("malformed packet: message in no memory of its size");
  }
  read(memory_of_lane->Read(header.message_size));
  return absl::OkStatus();
}

absl::Status LateOrCancelled(const PendingCall& call, absl::FunctionRef<bool()> cancelled) {
  if (cancelled()) return absl::CancelledError("CANCELLED");
  if (call.deadline_ns != 0 && MonotonicNowNs() >= call.deadline_ns) {
    return absl::DeadlineExceededError("Deadline Exceeded");
  }
  return absl::OkStatus();
}

CallsInFlight::CallsInFlight(size_t max_message_size)
    : max_message_size_(max_message_size), next_id_(FirstCall()) {}

void CallsInFlight::Add(PendingCall& call) {
  call.id = next_id_++;
  call.begun_ns = NowNs(CLOCK_MONOTONIC_COARSE);
  calls_.emplace(call.id, &call);
}

PendingCall* CallsInFlight::Find(uint64_t id) const {
  const auto found = calls_.find(id);
  return found == calls_.end() ? nullptr : found->second;
}

PendingCall* CallsInFlight::Follower() const {
  for (const auto& [id, call] : calls_) {
    if (call->waiting) return call;
  }
  return nullptr;
}

void CallsInFlight::Store(ReceivedPacket& packet, PendingCall& call) {
  const size_t metadata_size = packet.view.metadata.size();
  call.storage.assign(packet.view.metadata.data(), metadata_size);
  bool stored_message = false;
  const absl::Status unpacked =
      Unpack(packet, max_message_size_, call, call.reply, [&](MessageBytes message) {
        call.reply.message = message;  // stays where it is, if that is lent to the call
        stored_message = !message.shared();
        if (stored_message) message.AppendTo(call.storage);
      });
  if (!unpacked.ok()) {
    call.reply = FailedReply(unpacked);
    return;
  }
  const absl::string_view stored = call.storage;
  call.reply.metadata = stored.substr(0, metadata_size);
  if (stored_message) call.reply.message = stored.substr(metadata_size);
}

void CallsInFlight::NoteAnswerSize(const PendingCall& call) {
  if (call.large) {
    answers_large_ = call.method;
    small_answers_ = 0;
  } else if (call.method == answers_large_ && ++small_answers_ == kSmallAgain) {
    answers_large_ = 0;
  }
}

void CallsInFlight::Complete(PendingCall& call) {
  call.done = true;
  NoteAnswerSize(call);
  Forget(call);
  if (call.waiting) call.ready.Signal();
  if (call.callback == nullptr) return;
  const auto owned = owned_.find(call.id);
  if (owned == owned_.end()) return;
  RemovePosted(call);
  completed_.push_back(std::move(owned->second));
  owned_.erase(owned);
}

void CallsInFlight::Fail(PendingCall& call, const absl::Status& why) {
  if (call.done) return;
  call.reply = FailedReply(why);
  Complete(call);
}

void CallsInFlight::FailAll(const absl::Status& why) {
  KeepNothing();
  std::vector<PendingCall*> calls;
  for (const auto& [id, call] : calls_) calls.push_back(call);
  for (PendingCall* call : calls) Fail(*call, why);
}

void CallsInFlight::Lend(size_t request_size, PendingCall& call) {
  if (lent_ || (request_size <= kMaxInlineMessage && call.method != answers_large_)) return;
  lent_ = call.disposes = true;
  call.lent = std::exchange(kept_, {});
  // Other memory is asked for in its place.
  if (call.lent.memory != nullptr &&
      (call.lent.memory->capacity() < request_size || !call.lent.memory->Claim())) {
    call.lent = {};
  }
}

void CallsInFlight::TakeBack(PendingCall& call) {
  if (!std::exchange(call.disposes, false)) return;
  lent_ = false;
  if (call.brought.memory != nullptr) {
    kept_ = std::move(call.brought);
  } else if (call.gives_back) {
    kept_ = std::move(call.lent);
  }
  if (kept_.memory != nullptr) kept_.memory->Unclaim();
}

// On a channel that was idle when the process died, the packet comes after later calls were
// sent.
void CallsInFlight::BeginEpoch(absl::string_view survivors, int64_t since_ns) {
  KeepNothing();  // of which that process knows
  absl::flat_hash_set<uint64_t> kept;
  for (; survivors.size() >= sizeof(uint64_t); survivors.remove_prefix(sizeof(uint64_t))) {
    uint64_t id;
    std::memcpy(&id, survivors.data(), sizeof id);
    kept.insert(id);
  }
  std::vector<PendingCall*> lost;
  for (const auto& [id, call] : calls_) {
    const bool later = since_ns != 0 && call->begun_ns >= since_ns;
    if (!later && !kept.contains(id)) lost.push_back(call);
  }
  for (PendingCall* call : lost) {
    Fail(*call, absl::UnavailableError("the service restarted; the call may or may not have run"));
  }
}

void CallsInFlight::Own(std::unique_ptr<PendingCall> call) {
  if (call->done) {
    Forget(*call);
    completed_.push_back(std::move(call));
    return;
  }
  if (call->place.posted) posted_.push_back(call.get());
  owned_.emplace(call->id, std::move(call));
}

std::unique_ptr<PendingCall> CallsInFlight::Disown(uint64_t id) {
  const auto found = owned_.find(id);
  if (found == owned_.end()) return nullptr;
  std::unique_ptr<PendingCall> call = std::move(found->second);
  owned_.erase(found);
  RemovePosted(*call);
  return call;
}

void CallsInFlight::RemovePosted(const PendingCall& call) {
  posted_.erase(std::remove(posted_.begin(), posted_.end(), &call), posted_.end());
}

void CallsInFlight::MoveToLane(PendingCall& call) {
  call.place.on_lane = true;
  RemovePosted(call);
}

std::unique_ptr<PendingCall> CallsInFlight::TakeOwned(uint64_t id) {
  std::unique_ptr<PendingCall> call = Disown(id);
  if (call == nullptr) return nullptr;
  call->done = true;
  Forget(*call);
  return call;
}

std::unique_ptr<PendingCall> CallsInFlight::TakeCompleted() {
  if (completed_.empty()) return nullptr;
  std::unique_ptr<PendingCall> call = std::move(completed_.front());
  completed_.pop_front();
  return call;
}

void CallsInFlight::ExpireOwned(absl::FunctionRef<absl::Status(const PendingCall&)> late,
                                absl::FunctionRef<void(PendingCall&)> failed) {
  std::vector<std::pair<PendingCall*, absl::Status>> expired;
  for (const auto& [id, call] : owned_) {
    if (absl::Status why = late(*call); !why.ok()) expired.emplace_back(call.get(), std::move(why));
  }
  for (auto& [call, why] : expired) {
    failed(*call);
    Fail(*call, why);
  }
}

}  // namespace capbroker::transport
