#include "sandbox/supervisor/working_place.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/open_how.h"
#include "base/unique_fd.h"

namespace capbroker::sandbox {
namespace {

// The mask, and then the directory.
constexpr size_t kMostBytes = sizeof(uint32_t) + PATH_MAX;

}  // namespace

// TRUST(worker): a process that has the number for something else harms itself.
WorkingPlace WorkingPlaces::Of(pid_t thread) const {
  const Opened record = descriptors_.OpenSealed(thread, number_);
  char bytes[kMostBytes];
  const ssize_t size = record.fd.valid() ? pread(record.fd.get(), bytes, sizeof bytes, 0) : -1;
  WorkingPlace place;
  if (size <= static_cast<ssize_t>(sizeof place.file_mode_mask)) return initial_;
  std::memcpy(&place.file_mode_mask, bytes, sizeof place.file_mode_mask);
  place.directory.assign(bytes + sizeof place.file_mode_mask,
                         static_cast<size_t>(size) - sizeof place.file_mode_mask);
  return place.directory[0] == '/' ? place : initial_;
}

Answer WorkingPlaces::Set(const WorkingPlace& place, int64_t result) const {
  if (!descriptors_.sees()) {
    return place.directory == initial_.directory ? Result(result) : Failure(EPERM);
  }
  std::string bytes(reinterpret_cast<const char*>(&place.file_mode_mask),
                    sizeof place.file_mode_mask);
  bytes += place.directory;
  if (bytes.size() > kMostBytes) return Failure(ENAMETOOLONG);
  UniqueFd record(memfd_create("working place", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!record.valid() ||
      pwrite(record.get(), bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size()) ||
      fcntl(record.get(), F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) !=
          0) {
    return Failure(errno);
  }
  Answer answer = Result(result);
  answer.descriptor = std::move(record);
  answer.place = number_;
  return answer;
}

}  // namespace capbroker::sandbox
