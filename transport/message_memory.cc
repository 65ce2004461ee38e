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

constexpr size_t kLargestPage = 64 << 10;

}  // namespace

MessageMemory::MessageMemory(UniqueFd memfd, char* memory, size_t capacity)
    : memfd_(std::move(memfd)), memory_(memory), capacity_(capacity) {}

MessageMemory::~MessageMemory() { munmap(memory_, capacity_); }

absl::StatusOr<std::unique_ptr<MessageMemory>> MessageMemory::MapAll(FdRef memfd, size_t capacity) {
  void* memory = mmap(nullptr, capacity, PROT_READ | PROT_WRITE, MAP_SHARED, memfd.get(), 0);
  if (memory == MAP_FAILED) return ErrnoToStatus(errno, "map message memory");
  return std::unique_ptr<MessageMemory>(
      new MessageMemory(UniqueFd(), static_cast<char*>(memory), capacity));
}

absl::StatusOr<std::unique_ptr<MessageMemory>> MessageMemory::Make(size_t capacity) {
  CB_ASSIGN_OR_RETURN(UniqueFd memfd, MakeRequestBuffer(capacity));
  CB_ASSIGN_OR_RETURN(std::unique_ptr<MessageMemory> made, MapAll(memfd, capacity));
  made->memfd_ = std::move(memfd);
  return made;
}

absl::StatusOr<std::unique_ptr<MessageMemory>> MessageMemory::Map(FdRef memfd, size_t least) {
  CB_ASSIGN_OR_RETURN(const size_t capacity, FixedSize(memfd, least));
  return MapAll(memfd, capacity);
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

void MessageMemory::GiveBack() {
  // With the last page, of which the end is not used.
  (void)fallocate(memfd_.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
                  static_cast<off_t>(capacity_ + kLargestPage));
  populated_ = 0;
}

}  // namespace capbroker::transport
