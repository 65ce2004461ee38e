#include "services/net/testing/served_process.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>

#include "base/descriptor_packet.h"
#include "tests/conformance/local_family.h"

namespace capbroker::net {
namespace {

void Require(bool holds) {
  if (!holds) std::abort();
}

void SendLane(FdRef control, FdRef lane) { Require(SendDescriptorPacket(control, "", 1, {lane})); }

UniqueFd ReceiveLane(FdRef control) {
  char byte;
  PacketDescriptors descriptors;
  Require(ReceiveDescriptorPacket(control, &byte, 1, descriptors) == 1);
  Require(descriptors[0].valid());
  return std::move(descriptors[0]);
}

[[noreturn]] void Serve(std::unique_ptr<serving::Dispatch> service,
                        const google::protobuf::Message& limits, FdRef control) {
  capbroker::testing::LocalFamily family(std::move(service), limits);
  SendLane(control, family.TakeLane());
  char byte;
  while (read(control.get(), &byte, 1) == 1) {
    family.Revoke();
    Require(write(control.get(), "", 1) == 1);
  }
  _exit(0);
}

}  // namespace

ServedProcess::ServedProcess(absl::FunctionRef<std::unique_ptr<serving::Dispatch>()> make,
                             const google::protobuf::Message& limits) {
  int ends[2];
  Require(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0);
  control_.Reset(ends[0]);
  process_ = fork();
  Require(process_ >= 0);
  if (process_ == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    close(ends[0]);
    Serve(make(), limits, FdRef::FromRaw(ends[1]));
  }
  close(ends[1]);
  lane_ = ReceiveLane(control_);
}

ServedProcess::~ServedProcess() {
  kill(process_, SIGKILL);
  waitpid(process_, nullptr, 0);
}

void ServedProcess::Revoke() {
  char byte;
  Require(write(control_.get(), "", 1) == 1 && read(control_.get(), &byte, 1) == 1);
}

}  // namespace capbroker::net
