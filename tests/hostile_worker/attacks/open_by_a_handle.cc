// Opens a file by a handle: the way out of a container that was called Shocker.
#include <errno.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/hostile_worker/attack.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene&) {
  alignas(file_handle) char space[sizeof(file_handle) + MAX_HANDLE_SZ] = {};
  auto* const handle = reinterpret_cast<file_handle*>(space);
  handle->handle_bytes = MAX_HANDLE_SZ;
  int mount;
  if (name_to_handle_at(0, "", handle, &mount, AT_EMPTY_PATH) != 0 && errno == EPERM)
    return "EPERM";
  return Result(syscall(SYS_open_by_handle_at, 0, handle, O_RDONLY));
}

const Registered attack({
    .aims_at = "files by name",
    .run = Run,
    .refused = "dies of name_to_handle_at",
});

}  // namespace
}  // namespace capbroker::hostile
