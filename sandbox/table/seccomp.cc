#include "sandbox/table/seccomp.h"

#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstring>
#include <utility>

#ifndef SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
#define SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (1UL << 5)
#endif

namespace capbroker::sandbox {
namespace {

long SetFilter(absl::Span<const sock_filter> program, unsigned long flags) {
  const sock_fprog argument = {.len = static_cast<unsigned short>(program.size()),
                               .filter = const_cast<sock_filter*>(program.data())};
  return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &argument);
}

}  // namespace

StepResult InstallFilter(absl::Span<const sock_filter> program) {
  return SetFilter(program, 0) == 0 ? Done() : FailedWithErrno(Step::kTable);
}

StepResult InstallFilterWithListener(absl::Span<const sock_filter> program, UniqueFd& listener) {
  // Once received, a violation must not be taken back by a signal to its
  // thread.
  long fd =
      SetFilter(program, SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV);
  if (fd < 0 && errno == EINVAL) fd = SetFilter(program, SECCOMP_FILTER_FLAG_NEW_LISTENER);
  if (fd < 0) return FailedWithErrno(Step::kTable);
  listener.Reset(static_cast<int>(fd));
  return Done();
}

std::optional<seccomp_data> ReceiveViolation(FdRef listener) {
  // The kernel's structure may be longer than the one known here.
  union {
    seccomp_notif notification;
    char room[512];
  } buffer;
  std::memset(&buffer, 0, sizeof buffer);
  if (ioctl(listener.get(), SECCOMP_IOCTL_NOTIF_RECV, &buffer) != 0) return std::nullopt;
  return buffer.notification.data;
}

}  // namespace capbroker::sandbox
