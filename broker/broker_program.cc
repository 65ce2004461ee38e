#include "broker/broker_program.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>

#include <utility>

#include "base/unique_fd.h"
#include "client/broker_main.h"

namespace capbroker {
namespace {

bool IsSocket(int fd, int wanted_type) {
  int type = 0;
  socklen_t size = sizeof type;
  return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == wanted_type;
}

}  // namespace

int RunBrokerProgram(int argc, char** argv) {
  if (!IsSocket(kProgramLaneDescriptor, SOCK_SEQPACKET) ||
      !IsSocket(kProgramLifelineDescriptor, SOCK_STREAM)) {
    fprintf(stderr, "%s: a broker program, started by capbroker::Broker::StartProgram\n",
            argc > 0 ? argv[0] : "broker");
    return 2;
  }
  fcntl(kProgramLaneDescriptor, F_SETFD, FD_CLOEXEC);
  fcntl(kProgramLifelineDescriptor, F_SETFD, FD_CLOEXEC);
  BrokerStart start;
  start.application = UniqueFd(kProgramLaneDescriptor);
  start.lifeline = UniqueFd(kProgramLifelineDescriptor);
  if (fcntl(kProgramCgroupDescriptor, F_SETFD, FD_CLOEXEC) == 0) {
    start.cgroup = UniqueFd(kProgramCgroupDescriptor);
  }
  return RunBroker(std::move(start));
}

}  // namespace capbroker
