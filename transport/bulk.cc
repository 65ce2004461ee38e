#include "transport/bulk.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "base/errno_status.h"
#include "base/status_macros.h"
#include "transport/packet.h"

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U  // linux/memfd.h, Linux 6.3
#endif

namespace capbroker::transport {
namespace {

// Less is written from the stack: mapping memory takes longer than to copy it.
constexpr size_t kSmallMessage = 4096;

absl::StatusOr<UniqueFd> MakeMemfd() {
  UniqueFd fd(memfd_create("capbroker-message", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL));
  if (!fd.valid() && errno == EINVAL) {
    fd.Reset(memfd_create("capbroker-message", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  }
  if (!fd.valid()) return ErrnoToStatus(errno, "make message memory");
  return fd;
}

absl::Status SetSize(FdRef fd, size_t size) {
  if (ftruncate(fd.get(), static_cast<off_t>(size)) == 0) return absl::OkStatus();
  return ErrnoToStatus(errno, "size message memory");
}

absl::Status WriteSmall(FdRef fd, size_t size, absl::FunctionRef<bool(char*)> fill) {
  char bytes[kSmallMessage];
  if (!fill(bytes)) return absl::InternalError("serialize message");
  // Memory: all of it is written, or nothing.
  if (pwrite(fd.get(), bytes, size, 0) == static_cast<ssize_t>(size)) return absl::OkStatus();
  return ErrnoToStatus(errno, "write message memory");
}

absl::Status Write(FdRef fd, size_t size, absl::FunctionRef<bool(char*)> fill) {
  // In one go: a fault for each page costs more than the writing.
  void* memory =
      mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd.get(), 0);
  if (memory == MAP_FAILED) return ErrnoToStatus(errno, "map message memory");
  const absl::Cleanup unmap = [=] { munmap(memory, size); };
  if (!fill(static_cast<char*>(memory))) return absl::InternalError("serialize message");
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<UniqueFd> MakeSealedMessage(size_t size, absl::FunctionRef<bool(char*)> fill) {
  CB_ASSIGN_OR_RETURN(UniqueFd fd, MakeMemfd());
  if (size <= kSmallMessage) {
    CB_RETURN_IF_ERROR(WriteSmall(fd, size, fill));
  } else {
    CB_RETURN_IF_ERROR(SetSize(fd, size));
    CB_RETURN_IF_ERROR(Write(fd, size, fill));
  }
  if (fcntl(fd.get(), F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0) {
    return ErrnoToStatus(errno, "seal message memory");
  }
  return fd;
}

absl::StatusOr<UniqueFd> MakeRequestBuffer(size_t size) {
  CB_ASSIGN_OR_RETURN(UniqueFd fd, MakeMemfd());
  CB_RETURN_IF_ERROR(SetSize(fd, size));
  if (fcntl(fd.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) != 0) {
    return ErrnoToStatus(errno, "seal message memory");
  }
  return fd;
}

absl::StatusOr<size_t> FixedSize(FdRef memfd, size_t least) {
  const int seals = fcntl(memfd.get(), F_GET_SEALS);
  struct stat status;
  if (seals < 0 || (seals & F_SEAL_SHRINK) == 0 || fstat(memfd.get(), &status) != 0 ||
      status.st_size <= 0 || static_cast<size_t>(status.st_size) < least ||
      static_cast<size_t>(status.st_size) > kMaxMessageSize + 4096) {
    return absl::InvalidArgumentError("malformed packet: message memory of no fixed size");
  }
  return static_cast<size_t>(status.st_size);
}

absl::Status FillRequestBuffer(FdRef buffer, size_t size, absl::FunctionRef<bool(char*)> fill) {
  CB_RETURN_IF_ERROR(FixedSize(buffer, size).status());
  return Write(buffer, size, fill);
}

absl::StatusOr<std::string> CopyMessage(FdRef memfd, size_t size) {
  // Only memfds can be sealed: nothing else gets as far as being read.
  if (fcntl(memfd.get(), F_GET_SEALS) < 0) {
    return absl::InvalidArgumentError("malformed packet: message is not in a memfd");
  }
  std::string copy(size, '\0');
  size_t done = 0;
  while (done < size) {
    const ssize_t got =
        pread(memfd.get(), copy.data() + done, size - done, static_cast<off_t>(done));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return absl::InvalidArgumentError("malformed packet: message memory too short");
    done += static_cast<size_t>(got);
  }
  return copy;
}

absl::StatusOr<std::string> CopyWholeMessage(FdRef memfd) {
  struct stat status;
  if (fstat(memfd.get(), &status) != 0 || status.st_size < 0 ||
      static_cast<size_t>(status.st_size) > kMaxMessageSize) {
    return absl::InvalidArgumentError("message memory of an impossible size");
  }
  return CopyMessage(memfd, static_cast<size_t>(status.st_size));
}

absl::Status ReadRequest(FdRef memfd, size_t size,
                         absl::FunctionRef<void(absl::string_view)> read) {
  // Refused while somebody has it mapped for writing, and by the client's own F_SEAL_SEAL: then
  // what is read is a copy.
  (void)fcntl(memfd.get(), F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SEAL);
  return ReadMessage(memfd, size, read);
}

absl::Status ReadMessage(FdRef memfd, size_t size,
                         absl::FunctionRef<void(absl::string_view)> read) {
  constexpr int kFrozen = F_SEAL_WRITE | F_SEAL_SHRINK;
  const int seals = fcntl(memfd.get(), F_GET_SEALS);
  struct stat status;
  if (size > 0 && seals >= 0 && (seals & kFrozen) == kFrozen && fstat(memfd.get(), &status) == 0 &&
      static_cast<size_t>(status.st_size) >= size) {
    void* memory = mmap(nullptr, size, PROT_READ, MAP_SHARED | MAP_POPULATE, memfd.get(), 0);
    if (memory != MAP_FAILED) {
      const absl::Cleanup unmap = [=] { munmap(memory, size); };
      read(absl::string_view(static_cast<const char*>(memory), size));
      return absl::OkStatus();
    }
  }
  CB_ASSIGN_OR_RETURN(const std::string copy, CopyMessage(memfd, size));
  read(copy);
  return absl::OkStatus();
}

}  // namespace capbroker::transport
