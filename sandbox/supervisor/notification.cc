#include "sandbox/supervisor/notification.h"

#include <fcntl.h>
#include <sys/ioctl.h>

#include <cerrno>
#include <cstring>

#ifndef SECCOMP_ADDFD_FLAG_SEND
#define SECCOMP_ADDFD_FLAG_SEND (1UL << 1)
#endif
#ifndef SECCOMP_IOCTL_NOTIF_SET_FLAGS
#define SECCOMP_IOCTL_NOTIF_SET_FLAGS SECCOMP_IOW(4, __u64)
#endif

namespace capbroker::sandbox {
namespace {

constexpr uint64_t kSyncWakeUp = 1;  // SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP

// 0 or an errno. A new number ends the call.
int SendDescriptor(FdRef listener, uint64_t id, const Answer& answer) {
  seccomp_notif_addfd addition = {};
  addition.id = id;
  if (answer.place < 0) {
    addition.flags = SECCOMP_ADDFD_FLAG_SEND;
  } else {
    addition.flags = SECCOMP_ADDFD_FLAG_SETFD;
    addition.newfd = static_cast<uint32_t>(answer.place);
  }
  addition.srcfd = static_cast<uint32_t>(answer.descriptor.get());
  addition.newfd_flags = answer.close_on_exec ? O_CLOEXEC : 0;
  return ioctl(listener.get(), SECCOMP_IOCTL_NOTIF_ADDFD, &addition) < 0 ? errno : 0;
}

}  // namespace

std::optional<Notification> Notification::Receive(FdRef listener) {
  // The kernel's structure may be longer than the one known here.
  union {
    seccomp_notif notification;
    char room[512];
  } buffer;
  std::memset(&buffer, 0, sizeof buffer);
  if (ioctl(listener.get(), SECCOMP_IOCTL_NOTIF_RECV, &buffer) != 0) return std::nullopt;
  return Notification(listener, buffer.notification);
}

bool Notification::IsWaiting() const {
  uint64_t id = id_;
  return ioctl(listener_.get(), SECCOMP_IOCTL_NOTIF_ID_VALID, &id) == 0;
}

void Notification::Send(Answer answer) const {
  const bool placed = answer.place >= 0;
  if (answer.descriptor.valid() && (placed || answer.error_number == 0)) {
    const int error = SendDescriptor(listener_, id_, answer);
    if (error == 0 && !placed) return;
    if (error != 0) answer.error_number = error;  // EMFILE: the worker's table is full
  }
  seccomp_notif_resp response = {};
  response.id = id_;
  response.val = answer.error_number == 0 ? answer.result : 0;
  response.error = -answer.error_number;
  response.flags = 0;  // INVARIANT(decided-on-a-copy): never CONTINUE
  (void)!ioctl(listener_.get(), SECCOMP_IOCTL_NOTIF_SEND, &response);
}

void WakeCallersHere(FdRef listener) {
  (void)!ioctl(listener.get(), SECCOMP_IOCTL_NOTIF_SET_FLAGS, kSyncWakeUp);
}

}  // namespace capbroker::sandbox
