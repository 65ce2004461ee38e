#include "sandbox/spare_job.h"

#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <set>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace capbroker::sandbox {
namespace {

struct Message {
  uint64_t value = 0;
  uint32_t count = 0;
  int32_t places[kMostJobDescriptors] = {};
};

absl::Status Check(const SpareJob& job) {
  if (job.descriptors.size() > kMostJobDescriptors) {
    return absl::InvalidArgumentError("job: too many descriptors");
  }
  std::set<int> taken;
  for (const Placement& placement : job.descriptors) {
    if (placement.to < 0 || placement.to >= kGrantedPlaces || !taken.insert(placement.to).second) {
      return absl::InvalidArgumentError(
          absl::StrCat("job: descriptor number ", placement.to, " twice or out of range"));
    }
    CB_RETURN_IF_ERROR(CheckGrantable(FdRef::FromRaw(placement.from)));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status GiveJob(FdRef socket, const SpareJob& job) {
  CB_RETURN_IF_ERROR(Check(job));
  Message message = {.value = job.value, .count = static_cast<uint32_t>(job.descriptors.size())};
  int numbers[kMostJobDescriptors];
  for (size_t i = 0; i < job.descriptors.size(); ++i) {
    numbers[i] = job.descriptors[i].from;
    message.places[i] = job.descriptors[i].to;
  }
  iovec data = {.iov_base = &message, .iov_len = sizeof message};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof numbers)] = {};
  msghdr packet = {};
  packet.msg_iov = &data;
  packet.msg_iovlen = 1;
  if (const size_t size = message.count * sizeof(int); size > 0) {
    packet.msg_control = control;
    packet.msg_controllen = CMSG_SPACE(size);
    cmsghdr* const header = CMSG_FIRSTHDR(&packet);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(size);
    std::memcpy(CMSG_DATA(header), numbers, size);
  }
  if (sendmsg(socket.get(), &packet, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
    return absl::UnavailableError(absl::StrCat("give a job: ", strerror(errno)));
  }
  return absl::OkStatus();
}

bool TakeJob(FdRef socket, SpareJob& job) {
  Message message;
  iovec data = {.iov_base = &message, .iov_len = sizeof message};
  alignas(cmsghdr) char control[CMSG_SPACE(kMostJobDescriptors * sizeof(int))];
  msghdr packet = {};
  packet.msg_iov = &data;
  packet.msg_iovlen = 1;
  packet.msg_control = control;
  packet.msg_controllen = sizeof control;
  ssize_t got;
  do {
    got = recvmsg(socket.get(), &packet, MSG_CMSG_CLOEXEC);
  } while (got < 0 && errno == EINTR);
  size_t count = 0;
  const cmsghdr* const header = CMSG_FIRSTHDR(&packet);
  const bool has_rights = got > 0 && header != nullptr && header->cmsg_level == SOL_SOCKET &&
                          header->cmsg_type == SCM_RIGHTS;
  if (has_rights) count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
  // INVARIANT(fail-closed): all of it, or no worker.
  if (got != static_cast<ssize_t>(sizeof message) || message.count != count ||
      (packet.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0) {
    return false;
  }
  job.value = message.value;
  job.descriptors.clear();
  for (size_t i = 0; i < count; ++i) {
    int number;
    std::memcpy(&number, CMSG_DATA(header) + i * sizeof(int), sizeof number);
    job.descriptors.push_back({number, message.places[i], /*close_on_exec=*/true});
  }
  return true;
}

}  // namespace capbroker::sandbox
