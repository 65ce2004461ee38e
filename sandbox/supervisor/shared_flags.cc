#include "sandbox/supervisor/shared_flags.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>

#include "base/open_how.h"

namespace capbroker::sandbox {
namespace {

// What F_SETFL changes on Linux, but O_NONBLOCK.
constexpr uint64_t kSettable = O_APPEND | O_ASYNC | O_DIRECT | O_NOATIME;
// What is rarely set, and never told without having been seen.
constexpr uint64_t kUnknown = kSettable & ~uint64_t{O_APPEND};

}  // namespace

bool KeepsSharedFlags(FdRef file, uint64_t wanted) {
  const int flags = fcntl(file.get(), F_GETFL);
  return flags >= 0 && ((static_cast<uint64_t>(flags) ^ wanted) & kSettable) == 0;
}

// TRUST(worker): what is between both looks is its own; it is only told something.
Answer SetSharedFlags(const WorkerDescriptors& descriptors, const Notification& call) {
  const int number = static_cast<int>(static_cast<uint32_t>(call.argument(0)));
  const uint64_t wanted = call.argument(2);
  const Opened file = descriptors.Look(call.thread(), number);
  if (!file.fd.valid()) return Failure(file.error_number);
  if (descriptors.sees_rights()) {
    return KeepsSharedFlags(file.fd, wanted) ? Result(0) : Failure(EPERM);
  }
  struct stat status;
  if (fstat(file.fd.get(), &status) != 0) return Failure(errno);
  const bool appends = S_ISREG(status.st_mode) && descriptors.MayWrite(call.thread(), number);
  return appends || (wanted & kUnknown) != 0 ? Failure(EPERM) : Result(0);
}

}  // namespace capbroker::sandbox
