#include "transport/message_memory.h"

#include <fcntl.h>
#include <sys/mman.h>

#include <cerrno>
#include <utility>

#include "base/errno_status.h"
#include "base/status_macros.h"
#include "transport/bulk.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23  // asm-generic/mman-common.h, Linux 5.14
#endif

namespace capbroker::transport {
namespace {

// Behind the messages.
constexpr size_t kStatePage = 4096;
constexpr uint32_t kUnclaimed = 0;
constexpr uint32_t kClaimed = 1;
constexpr uint32_t kGone = 2;
static_assert(std::atomic<uint32_t>::is_always_lock_free);

}  // namespace

MessageMemory::MessageMemory(UniqueFd memfd, char* memory, size_t capacity)
    : memfd_(std::move(memfd)), memory_(memory), capacity_(capacity) {}

MessageMemory::~MessageMemory() { munmap(memory_, capacity_ + kStatePage); }

// Both ends look at it, and neither relies on it but for what is its own.
std::atomic<uint32_t>& MessageMemory::state() const {
  return *reinterpret_cast<std::atomic<uint32_t>*>(memory_ + capacity_);
}

absl::StatusOr<std::unique_ptr<MessageMemory>> MessageMemory::MapAll(FdRef memfd, size_t capacity) {
  void* memory =
      mmap(nullptr, capacity + kStatePage, PROT_READ | PROT_WRITE, MAP_SHARED, memfd.get(), 0);
  if (memory == MAP_FAILED) return ErrnoToStatus(errno, "map message memory");
  return std::unique_ptr<MessageMemory>(
      new MessageMemory(UniqueFd(), static_cast<char*>(memory), capacity));
}

absl::StatusOr<std::unique_ptr<MessageMemory>> MessageMemory::Make(size_t capacity) {
  capacity = (capacity + kStatePage - 1) / kStatePage * kStatePage;
  CB_ASSIGN_OR_RETURN(UniqueFd memfd, MakeRequestBuffer(capacity + kStatePage));
  CB_ASSIGN_OR_RETURN(std::unique_ptr<MessageMemory> made, MapAll(memfd, capacity));
  made->memfd_ = std::move(memfd);
  made->state().store(kClaimed);
  return made;
}

absl::StatusOr<std::unique_ptr<MessageMemory>> MessageMemory::Map(FdRef memfd, size_t least) {
  CB_ASSIGN_OR_RETURN(const size_t size, FixedSize(memfd, least + kStatePage));
  if (size % kStatePage != 0) {
    return absl::InvalidArgumentError("malformed packet: message memory of no whole pages");
  }
  return MapAll(memfd, size - kStatePage);
}

// In one go: a fault for each page costs more than the writing. Without it, they are taken.
void MessageMemory::Populate(size_t size) {
  if (size <= populated_) return;
  (void)madvise(memory_, size, MADV_POPULATE_WRITE);
  populated_ = size;
}

absl::Status MessageMemory::Write(size_t size, absl::FunctionRef<bool(char*)> fill) {
  Populate(size);
  return fill(memory_) ? absl::OkStatus() : absl::InternalError("serialize message");
}

MessageBytes MessageMemory::Read(size_t size) {
  Populate(size);
  return MessageBytes::Shared(absl::string_view(memory_, size));
}

bool MessageMemory::Claim() {
  uint32_t unclaimed = kUnclaimed;
  return state().compare_exchange_strong(unclaimed, kClaimed);
}

void MessageMemory::Unclaim() { state().store(kUnclaimed); }

bool MessageMemory::GiveBack() {
  uint32_t unclaimed = kUnclaimed;
  if (!state().compare_exchange_strong(unclaimed, kGone)) return false;
  (void)fallocate(memfd_.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
                  static_cast<off_t>(capacity_));
  return true;
}

}  // namespace capbroker::transport
