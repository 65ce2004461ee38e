#include "serving/lane/kept_memory.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/time/clock.h"
#include "base/freed_memory.h"
#include "transport/packet.h"

namespace capbroker::serving {
KeptMemory::Loan& KeptMemory::Loan::operator=(Loan&& other) noexcept {
  if (this == &other) return *this;
  GiveBack();
  buffer_ = std::move(other.buffer_);
  lent_ = std::exchange(other.lent_, false);
  return *this;
}

transport::MessageMemory& KeptMemory::Loan::memory() const { return *buffer_->memory; }

void KeptMemory::Loan::GiveBack() {
  if (std::exchange(lent_, false)) buffer_->owner->Return(*buffer_);
}

KeptMemory::KeptMemory(EventLoop* loop, KeptMemoryOptions options)
    : loop_(loop), options_(options) {}

KeptMemory::Loan KeptMemory::Replace(Place& place, size_t size) {
  if (!place.empty()) {
    absl::MutexLock lock(&mutex_);
    if (place.buffer_->lent) return Loan();
  }
  place.Clear();
  // The next message may be somewhat longer.
  const size_t capacity = std::min(std::bit_ceil(std::max(size, transport::kMaxInlineMessage)),
                                   transport::kMaxMessageSize);
  {
    absl::MutexLock lock(&mutex_);
    NoteUse();
    if (bytes_ + capacity > options_.max_bytes) return Loan();
    bytes_ += capacity;
  }
  absl::StatusOr<std::unique_ptr<transport::MessageMemory>> made =
      transport::MessageMemory::Make(capacity);
  absl::MutexLock lock(&mutex_);
  if (!made.ok()) {
    bytes_ -= capacity;
    return Loan();
  }
  place.buffer_.reset(new Buffer{shared_from_this(), *std::move(made)});
  buffers_.push_back(place.buffer_.get());
  return Loan(place.buffer_);
}

KeptMemory::Loan KeptMemory::Lend(const Place& place) {
  if (place.empty()) return Loan();
  absl::MutexLock lock(&mutex_);
  Buffer& buffer = *place.buffer_;
  if (buffer.memory == nullptr || std::exchange(buffer.lent, true)) return Loan();
  buffer.used = true;
  NoteUse();
  return Loan(place.buffer_);
}

void KeptMemory::Forget(Buffer& buffer) {
  absl::MutexLock lock(&mutex_);
  buffers_.erase(std::find(buffers_.begin(), buffers_.end(), &buffer));
  if (buffer.memory == nullptr) return;
  bytes_ -= buffer.memory->capacity();
  // The client may have it mapped for longer.
  (void)buffer.memory->GiveBack();
}

void KeptMemory::Return(Buffer& buffer) {
  absl::MutexLock lock(&mutex_);
  buffer.lent = false;
}

void KeptMemory::NoteUse() {
  used_ = true;
  if (options_.and_freed && !std::exchange(keeps_freed_, true)) KeepFreedMemory();
  if (!looks_) LookLater();
}

void KeptMemory::LookLater() {
  looks_ = true;
  loop_->RunAt(absl::Now() + options_.idle, [weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->LookForIdle();
  });
}

void KeptMemory::LookForIdle() {
  absl::MutexLock lock(&mutex_);
  looks_ = false;
  bool more = used_;
  if (!std::exchange(used_, false) && std::exchange(keeps_freed_, false)) GiveFreedMemoryBack();
  const absl::Time now = absl::Now();
  for (Buffer* buffer : buffers_) {
    if (buffer->memory == nullptr) continue;
    if (std::exchange(buffer->used, false) || buffer->lent) {
      buffer->claimed = absl::InfiniteFuture();
      more = true;
      continue;
    }
    buffer->claimed = std::min(buffer->claimed, now);
    if (!buffer->memory->GiveBack() && now - buffer->claimed < options_.claimed) {
      more = true;
      continue;
    }
    bytes_ -= buffer->memory->capacity();
    buffer->memory = nullptr;
  }
  if (more) LookLater();
}

size_t KeptMemory::bytes() {
  absl::MutexLock lock(&mutex_);
  return bytes_;
}

}  // namespace capbroker::serving
