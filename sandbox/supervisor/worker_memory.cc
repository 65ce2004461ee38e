#include "sandbox/supervisor/worker_memory.h"

#include <limits.h>
#include <sys/uio.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace capbroker::sandbox {
namespace {

// What is behind the end of a string may not be mapped.
constexpr uint64_t kPage = 4096;
// Nearly every path is shorter.
constexpr uint64_t kFirstPart = 256;

iovec At(uint64_t address, size_t size) {
  return {.iov_base = reinterpret_cast<void*>(address), .iov_len = size};
}

int AllOf(ssize_t moved, size_t size) {
  if (moved < 0) return errno;
  return static_cast<size_t>(moved) == size ? 0 : EFAULT;
}

}  // namespace

// TRUST(worker): the bytes, the address, and whether there is an end.
int WorkerMemory::ReadPath(uint64_t address, std::string& path) const {
  char buffer[PATH_MAX];
  size_t size = 0;
  while (size < sizeof buffer) {
    const size_t room = std::min<uint64_t>(size == 0 ? kFirstPart : sizeof buffer - size,
                                           kPage - (address + size) % kPage);
    if (const int error = Read(address + size, buffer + size, room); error != 0) return error;
    if (std::memchr(buffer + size, '\0', room) != nullptr) {
      path = buffer;
      return 0;
    }
    size += room;
  }
  return ENAMETOOLONG;
}

int WorkerMemory::Read(uint64_t address, void* data, size_t size) const {
  const iovec mine = {.iov_base = data, .iov_len = size};
  const iovec theirs = At(address, size);
  return AllOf(process_vm_readv(thread_, &mine, 1, &theirs, 1, 0), size);
}

int WorkerMemory::Write(uint64_t address, const void* data, size_t size) const {
  const iovec mine = {.iov_base = const_cast<void*>(data), .iov_len = size};
  const iovec theirs = At(address, size);
  return AllOf(process_vm_writev(thread_, &mine, 1, &theirs, 1, 0), size);
}

}  // namespace capbroker::sandbox
