#include "sandbox/supervisor/shared_flags.h"

#include <fcntl.h>

#include <cerrno>

#include "base/open_how.h"
#include "sandbox/supervisor/worker_descriptors.h"

namespace capbroker::sandbox {
namespace {

// What F_SETFL changes on Linux, but O_NONBLOCK.
constexpr uint64_t kSettable = O_APPEND | O_ASYNC | O_DIRECT | O_NOATIME;

}  // namespace

bool KeepsSharedFlags(FdRef file, uint64_t wanted) {
  const int flags = fcntl(file.get(), F_GETFL);
  return flags >= 0 && ((static_cast<uint64_t>(flags) ^ wanted) & kSettable) == 0;
}

Answer SetSharedFlags(const Notification& call) {
  const Opened file =
      DuplicateFrom(call.thread(), static_cast<int>(static_cast<uint32_t>(call.argument(0))));
  if (!file.fd.valid()) return Failure(file.error_number);
  return KeepsSharedFlags(file.fd, call.argument(2)) ? Result(0) : Failure(EPERM);
}

}  // namespace capbroker::sandbox
