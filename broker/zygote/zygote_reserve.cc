#include "broker/zygote/zygote_reserve.h"

#include <poll.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <initializer_list>
#include <utility>

#include "base/descriptor_packet.h"
#include "base/errno_status.h"
#include "base/lifeline.h"
#include "base/status_macros.h"
#include "broker/zygote/own_tables.h"
#include "broker/zygote/process.h"

namespace capbroker::broker {
namespace {

// The broker waits for it, and it needs a millisecond.
constexpr int kPatienceMilliseconds = 5000;

// What the reserve is asked with is a packet of two descriptors, and what it answers one of a
// process; not positive: it could not.
bool Send(FdRef socket, pid_t pid, std::initializer_list<FdRef> descriptors) {
  return SendDescriptorPacket(socket, &pid, sizeof pid, descriptors);
}

// False: the other end is gone.
bool Receive(FdRef socket, pid_t& pid, PacketDescriptors& descriptors) {
  return ReceiveDescriptorPacket(socket, &pid, sizeof pid, descriptors) ==
         static_cast<ssize_t>(sizeof pid);
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
  pid_t ignored;
  for (PacketDescriptors lines; Receive(requests, ignored, lines); lines = PacketDescriptors()) {
    if (!lines[1].valid()) _exit(1);
    // The broker's child, as one that it forks itself.
    absl::StatusOr<Cloned> cloned = CloneProcess({.flags = CLONE_PARENT});
    if (cloned.ok() && cloned->pid == 0) {
      _exit(run(std::move(lines[0]), std::move(lines[1])));
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
  pid_t zygote = 0;
  PacketDescriptors answer;
  if (!requests_.valid() || !Send(requests_, 0, {control, lifeline}) ||
      poll(&answered, 1, kPatienceMilliseconds) != 1 || !Receive(requests_, zygote, answer)) {
    // One that does not answer in time must not answer a later request with this one's zygote.
    requests_.Reset();
    lifeline_.Reset();
    return absl::UnavailableError("the reserve is gone: no zygote can be started any more");
  }
  if (zygote <= 0 || !answer[0].valid()) {
    return absl::UnavailableError("the reserve cannot fork");
  }
  return ChildProcess{zygote, PidFd(std::move(answer[0]))};
}

}  // namespace capbroker::broker
