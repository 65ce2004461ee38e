#include "client/broker_link.h"

#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <utility>

#include "transport/grpc_status.h"
#include "transport/packet.h"
#include "transport/unary_call.h"

namespace capbroker {
namespace {

using transport::ClientMethod;

constexpr ClientMethod Method(const char* name, bool request_descriptors,
                              bool response_descriptors) {
  return {name, transport::MethodId(name), request_descriptors, response_descriptors};
}
// In the order of BrokerMethod.
constexpr ClientMethod kMethods[] = {
    Method("/capbroker.v1.Broker/OpenService", true, true),
    Method("/capbroker.v1.Broker/LaunchWorker", true, false),
    Method("/capbroker.v1.Broker/WaitWorker", false, false),
    Method("/capbroker.v1.Broker/KillWorker", false, false),
    Method("/capbroker.v1.Broker/SignalWorker", false, false),
    Method("/capbroker.v1.Broker/Revoke", false, false),
    Method("/capbroker.v1.Broker/Inspect", false, false),
    Method("/capbroker.v1.Broker/StartAudit", false, false),
    Method("/capbroker.v1.Broker/ReadAudit", false, false),
};

uint64_t NextNumber() {
  static std::atomic<uint64_t> last{0};
  return ++last;
}

}  // namespace

BrokerLink::BrokerLink(UniqueFd lane, UniqueFd lifeline, PidFd process, bool is_child,
                       BrokerCgroup cgroup)
    : number_(NextNumber()),
      owner_(getpid()),
      is_child_(is_child),
      channel_(std::move(lane)),
      lifeline_(std::move(lifeline)),
      process_(std::move(process)),
      cgroup_(std::move(cgroup)) {}

BrokerLink::~BrokerLink() { End(); }

absl::Status BrokerLink::Call(BrokerMethod method, grpc::ClientContext* context,
                              const google::protobuf::Message& request,
                              google::protobuf::Message* response) {
  // INVARIANT(one-holder-per-end): a fork has a copy of the lane's end.
  if (getpid() != owner_) {
    return absl::FailedPreconditionError(
        "call broker: this process is a fork of the application that started it");
  }
  return FromGrpcStatus(transport::CallUnary(channel_.lane(), kMethods[static_cast<int>(method)],
                                             context, request, response));
}

void BrokerLink::End() {
  if (!process_.valid()) return;
  lifeline_.Reset();
  if (getpid() != owner_) {
    // A fork's copy: closed without shutting down what the original still uses.
    (void)channel_.Release();
    cgroup_.Forget();
  } else {
    channel_.Close();
    // Another copy of the lifeline may exist in a fork of this process.
    (void)process_.Signal(SIGKILL);
    if (is_child_) {
      (void)process_.Wait();
    } else {
      pollfd p = {process_.fd().get(), POLLIN, 0};
      while (poll(&p, 1, -1) < 0 && errno == EINTR) {
      }
    }
    cgroup_.Remove();
  }
  process_ = PidFd();
}

}  // namespace capbroker
