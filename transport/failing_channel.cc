#include "transport/failing_channel.h"

#include <grpc/grpc.h>
#include <grpcpp/support/client_interceptor.h>

#include <utility>
#include <vector>

#include "transport/grpc_access.h"

namespace capbroker::transport {
namespace {

using grpc::experimental::InterceptionHookPoints;

// Answers in the place of a transport. The channel under it fails, too, but its status has no
// details.
class Refusal final : public grpc::experimental::Interceptor {
 public:
  explicit Refusal(const grpc::Status& status) : status_(status) {}

  void Intercept(grpc::experimental::InterceptorBatchMethods* methods) override {
    const auto has = [methods](InterceptionHookPoints point) {
      return methods->QueryInterceptionHookPoint(point);
    };
    const bool begins = has(InterceptionHookPoints::PRE_SEND_INITIAL_METADATA);
    if (!begins && has(InterceptionHookPoints::PRE_SEND_MESSAGE)) {
      methods->FailHijackedSendMessage();
    }
    if (has(InterceptionHookPoints::PRE_RECV_MESSAGE)) methods->FailHijackedRecvMessage();
    if (has(InterceptionHookPoints::PRE_RECV_STATUS)) *methods->GetRecvStatus() = status_;
    if (begins) return methods->Hijack();
    methods->Proceed();
  }

 private:
  const grpc::Status status_;
};

class RefusalFactory final : public grpc::experimental::ClientInterceptorFactoryInterface {
 public:
  explicit RefusalFactory(grpc::Status status) : status_(std::move(status)) {}
  grpc::experimental::Interceptor* CreateClientInterceptor(
      grpc::experimental::ClientRpcInfo*) override {
    return new Refusal(status_);
  }

 private:
  const grpc::Status status_;
};

}  // namespace

std::shared_ptr<grpc::Channel> FailingChannel(const grpc::Status& status) {
  grpc_init();  // the call below comes before the C++ object that would do it
  grpc_channel* const channel = grpc_lame_client_channel_create(
      "capbroker", static_cast<grpc_status_code>(status.error_code()),
      status.error_message().c_str());
  std::vector<std::unique_ptr<grpc::experimental::ClientInterceptorFactoryInterface>> refusal;
  refusal.push_back(std::make_unique<RefusalFactory>(status));
  std::shared_ptr<grpc::Channel> failing =
      grpc::CreateChannelInternal("capbroker", channel, std::move(refusal));
  grpc_shutdown();
  return failing;
}

}  // namespace capbroker::transport
