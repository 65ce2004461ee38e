// The handle of a file, by which it can be opened without its path.
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstring>

#include "tests/hostile_worker/attack.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene& scene) {
  alignas(file_handle) char space[sizeof(file_handle) + MAX_HANDLE_SZ] = {};
  auto* const handle = reinterpret_cast<file_handle*>(space);
  handle->handle_bytes = MAX_HANDLE_SZ;
  int mount;
  return Result(syscall(SYS_name_to_handle_at, AT_FDCWD, scene.file, handle, &mount, 0));
}

const Registered attack({
    .aims_at = "files by name",
    .run = Run,
    .refused = "dies of name_to_handle_at",
});

}  // namespace
}  // namespace capbroker::hostile
