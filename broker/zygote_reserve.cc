#include "broker/zygote_reserve.h"

#include <poll.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>
#include <vector>

#include "base/errno_status.h"
#include "base/lifeline.h"
#include "base/status_macros.h"
#include "broker/own_tables.h"
#include "broker/process.h"

namespace capbroker::broker {
namespace {

// The broker waits for it, and it needs a millisecond.
constexpr int kPatienceMilliseconds = 5000;

struct Packet {
  pid_t pid = 0;  // in answers; not positive: an errno
  std::vector<UniqueFd> descriptors = {};
};

bool Send(FdRef socket, pid_t pid, const std::vector<FdRef>& descriptors) {
  iovec data = {.iov_base = &pid, .iov_len = sizeof pid};
  alignas(cmsghdr) char control[CMSG_SPACE(2 * sizeof(int))] = {};
  msghdr packet = {};
  packet.msg_iov = &data;
  packet.msg_iovlen = 1;
  if (!descriptors.empty()) {
    packet.msg_control = control;
    packet.msg_controllen = CMSG_SPACE(descriptors.size() * sizeof(int));
    cmsghdr* header = CMSG_FIRSTHDR(&packet);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(descriptors.size() * sizeof(int));
    for (size_t i = 0; i < descriptors.size(); ++i) {
      const int fd = descriptors[i].get();
      std::memcpy(CMSG_DATA(header) + i * sizeof fd, &fd, sizeof fd);
    }
  }
  return sendmsg(socket.get(), &packet, MSG_NOSIGNAL) == static_cast<ssize_t>(sizeof pid);
}

// False: the other end is gone.
bool Receive(FdRef socket, Packet& received) {
  iovec data = {.iov_base = &received.pid, .iov_len = sizeof received.pid};
  alignas(cmsghdr) char control[CMSG_SPACE(2 * sizeof(int))];
  msghdr packet = {};
  packet.msg_iov = &data;
  packet.msg_iovlen = 1;
  packet.msg_control = control;
  packet.msg_controllen = sizeof control;
  ssize_t got;
  do {
    got = recvmsg(socket.get(), &packet, MSG_CMSG_CLOEXEC);
  } while (got < 0 && errno == EINTR);
  if (got != static_cast<ssize_t>(sizeof received.pid)) return false;
  const cmsghdr* header = CMSG_FIRSTHDR(&packet);
  if (header == nullptr || header->cmsg_type != SCM_RIGHTS) return true;
  for (size_t at = 0; CMSG_LEN(at + sizeof(int)) <= header->cmsg_len; at += sizeof(int)) {
    int fd;
    std::memcpy(&fd, CMSG_DATA(header) + at, sizeof fd);
    received.descriptors.emplace_back(fd);
  }
  return true;
}

[[noreturn]] void Serve(UniqueFd requests, UniqueFd lifeline,
                        const ZygoteReserve::RunFunction& run) {
  const int held = lifeline.get();
  // INVARIANT(no-orphans)
  if (!DieWithLifeline(std::move(lifeline)).ok()) _exit(1);
  if (!CloseAllBut({requests, FdRef::FromRaw(held)}).ok()) _exit(1);
  NameProcess("reserve");
  if (const absl::Status entered = EnterZygoteTable(); !entered.ok()) {
    Log(entered.ToString());
    _exit(1);
  }
  for (Packet request; Receive(requests, request); request = Packet()) {
    if (request.descriptors.size() != 2) _exit(1);
    // The broker's child, as one that it forks itself.
    absl::StatusOr<Cloned> cloned = CloneProcess({.flags = CLONE_PARENT});
    if (cloned.ok() && cloned->pid == 0) {
      _exit(run(std::move(request.descriptors[0]), std::move(request.descriptors[1])));
    }
    const bool told = cloned.ok() ? Send(requests, cloned->pid, {cloned->process.fd()})
                                  : Send(requests, -EAGAIN, {});
    if (!told) break;
  }
  _exit(0);
}

}  // namespace

absl::StatusOr<ZygoteReserve> ZygoteReserve::Start(const RunFunction& run) {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) {
    return ErrnoToStatus(errno, "start the reserve");
  }
  ZygoteReserve reserve;
  reserve.requests_.Reset(ends[0]);
  UniqueFd requests(ends[1]);
  CB_ASSIGN_OR_RETURN(Lifeline line, MakeLifeline());
  reserve.lifeline_ = std::move(line.kept);
  CB_ASSIGN_OR_RETURN(const Cloned cloned, CloneProcess({}));
  if (cloned.pid == 0) Serve(std::move(requests), std::move(line.held), run);
  return reserve;
}

absl::StatusOr<ChildProcess> ZygoteReserve::ForkZygote(UniqueFd control, UniqueFd lifeline) {
  pollfd answered = {requests_.get(), POLLIN, 0};
  Packet answer;
  if (!requests_.valid() || !Send(requests_, 0, {control, lifeline}) ||
      poll(&answered, 1, kPatienceMilliseconds) != 1 || !Receive(requests_, answer)) {
    // One that does not answer in time must not answer a later request with this one's zygote.
    requests_.Reset();
    lifeline_.Reset();
    return absl::UnavailableError("the reserve is gone: no zygote can be started any more");
  }
  if (answer.pid <= 0 || answer.descriptors.size() != 1) {
    return absl::UnavailableError("the reserve cannot fork");
  }
  return ChildProcess{answer.pid, PidFd(std::move(answer.descriptors.front()))};
}

}  // namespace capbroker::broker
