// A program that is no worker, and gets a channel of the probe: by exec ("wrapped NUMBER") or over
// a UNIX socket that it is executed with ("sent NUMBER"). Says "ready", then the word as often as
// it is told, and exits with 0 when every call was answered.
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <string>

#include "broker/testing/probe_client.h"
#include "transport/channel.h"

namespace {

// What came beside one byte.
capbroker::UniqueFd Receive(int socket) {
  char byte;
  iovec part = {&byte, 1};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))];
  msghdr message = {};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  if (recvmsg(socket, &message, MSG_CMSG_CLOEXEC) != 1) return capbroker::UniqueFd();
  const cmsghdr* rights = CMSG_FIRSTHDR(&message);
  int number = -1;
  if (rights != nullptr && rights->cmsg_type == SCM_RIGHTS) {
    std::memcpy(&number, CMSG_DATA(rights), sizeof number);
  }
  return capbroker::UniqueFd(number);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) return 90;
  const int number = atoi(argv[2]);
  const bool wrapped = std::string(argv[1]) == "wrapped";
  const auto channel =
      wrapped ? capbroker::Channel::Unwrap(number) : capbroker::Channel::Adopt(Receive(number));
  if (!channel.ok()) return 91;
  // The end that others may have a duplicate of is closed, and a program executed from here
  // inherits nothing.
  if (wrapped && fcntl(number, F_GETFD) != -1) return 92;
  if ((fcntl((*channel)->lane().fd().get(), F_GETFD) & FD_CLOEXEC) == 0) return 93;
  if (write(STDOUT_FILENO, "ready", 5) != 5) return 94;
  capbroker::testing::ProbeClient probe(*channel);
  for (int calls = atoi(argv[3]); calls > 0; --calls) {
    if (!probe.Say("a").ok()) return 95;
  }
  // What the channel does not allow, it does not allow here.
  return absl::IsPermissionDenied(probe.Say("b").status()) ? 0 : 96;
}
