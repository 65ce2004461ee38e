// The memory that lanes keep for large messages (transport/message_memory.h): how much there is of
// it, whom it is lent to, and when it is given back.
//
// Bounded for the process, however many channels it has: when there is no room for more, a message
// travels in memory of its own (transport/bulk.h). What was not used for a moment is given back: a
// client that still has it mapped has addresses, and nothing behind them. What a client claims
// without using it is forgotten.
//
// Lives in: service processes. Thread-safe.
#ifndef SERVING_LANE_KEPT_MEMORY_H_
#define SERVING_LANE_KEPT_MEMORY_H_

#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "serving/events/event_loop.h"
#include "transport/message_memory.h"

namespace capbroker::serving {

struct KeptMemoryOptions {
  size_t max_bytes = 64u << 20;
  // What was not used for so long, up to twice, is given back.
  absl::Duration idle = absl::Seconds(1);
  // What a client has claimed for so long without using it is forgotten: its call was cancelled.
  absl::Duration claimed = absl::Seconds(10);
  // Freed memory of the process is kept and given back alike: for a process that is the library's.
  bool and_freed = false;
};

class KeptMemory : public std::enable_shared_from_this<KeptMemory> {
 private:
  struct Buffer;

 public:
  // A buffer of one lane, while it is lent to a call. Destroyed, it is given back.
  class Loan {
   public:
    Loan() = default;
    Loan(Loan&& other) noexcept { *this = std::move(other); }
    Loan& operator=(Loan&& other) noexcept;
    ~Loan() { GiveBack(); }

    bool valid() const { return buffer_ != nullptr; }
    transport::MessageMemory& memory() const;
    // To be lent again. memory() stays.
    void GiveBack();

   private:
    friend class KeptMemory;
    explicit Loan(std::shared_ptr<Buffer> buffer) : buffer_(std::move(buffer)), lent_(true) {}

    std::shared_ptr<Buffer> buffer_;
    bool lent_ = false;
  };

  // What a lane keeps: a buffer or none. Guarded by the lane.
  class Place {
   public:
    bool empty() const { return buffer_ == nullptr; }
    void Clear() { buffer_ = nullptr; }

   private:
    friend class KeptMemory;
    std::shared_ptr<Buffer> buffer_;
  };

  // `loop` runs while buffers are made or lent.
  KeptMemory(EventLoop* loop, KeptMemoryOptions options);

  // Puts a new buffer for messages of `size` bytes in place of what is there, and lends it.
  // Invalid: that one is lent, or there is no room.
  Loan Replace(Place& place, size_t size) ABSL_LOCKS_EXCLUDED(mutex_);

  // Invalid: there is none any more, or it is lent already.
  Loan Lend(const Place& place) ABSL_LOCKS_EXCLUDED(mutex_);

  // Bytes of all buffers.
  size_t bytes() ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  struct Buffer {
    ~Buffer() { owner->Forget(*this); }
    const std::shared_ptr<KeptMemory> owner;
    std::unique_ptr<transport::MessageMemory> memory;  // null: given back, or forgotten
    // Guarded by the owner's mutex.
    bool lent = true;
    bool used = true;                             // since the last look
    absl::Time claimed = absl::InfiniteFuture();  // and not used, since then
  };

  void Forget(Buffer& buffer) ABSL_LOCKS_EXCLUDED(mutex_);
  void Return(Buffer& buffer) ABSL_LOCKS_EXCLUDED(mutex_);
  void NoteUse() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void LookForIdle() ABSL_LOCKS_EXCLUDED(mutex_);
  void LookLater() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  EventLoop* const loop_;
  const KeptMemoryOptions options_;
  absl::Mutex mutex_;
  std::vector<Buffer*> buffers_ ABSL_GUARDED_BY(mutex_);
  size_t bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  bool used_ ABSL_GUARDED_BY(mutex_) = false;   // since the last look
  bool looks_ ABSL_GUARDED_BY(mutex_) = false;  // a look is to come
  bool keeps_freed_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace capbroker::serving

#endif  // SERVING_LANE_KEPT_MEMORY_H_
