#include "sandbox/supervisor/descriptor_sight.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <string>

#include "absl/strings/string_view.h"

namespace capbroker::sandbox {
namespace {

// A container's filter may forbid it, whomever it is about.
bool MayDuplicate() {
  const UniqueFd self(static_cast<int>(syscall(SYS_pidfd_open, getpid(), 0)));
  return self.valid() &&
         UniqueFd(static_cast<int>(syscall(SYS_pidfd_getfd, self.get(), self.get(), 0))).valid();
}

}  // namespace

DescriptorSight ProbeDescriptorSight() {
  if (MayDuplicate()) return DescriptorSight::kDuplicates;
  return OpenProcesses().valid() ? DescriptorSight::kHandles : DescriptorSight::kNone;
}

UniqueFd OpenProcesses() {
  UniqueFd processes(open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC));
  struct statfs status;
  if (!processes.valid() || fstatfs(processes.get(), &status) != 0 ||
      status.f_type != PROC_SUPER_MAGIC) {
    return UniqueFd();
  }
  // That of another PID namespace has other numbers.
  char number[16];
  const ssize_t size = readlinkat(processes.get(), "self", number, sizeof number);
  if (size <= 0 || absl::string_view(number, static_cast<size_t>(size)) != std::to_string(getpid()))
    return UniqueFd();
  return processes;
}

}  // namespace capbroker::sandbox
