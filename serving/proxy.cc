#include "serving/proxy.h"

#include <algorithm>

#include "capbroker/v1/authority.pb.h"
#include "capbroker/v1/interposition.pb.h"
#include "transport/packet.h"

namespace capbroker::serving {
namespace {

class ProxyDispatch final : public Dispatch {
 public:
  ProxyDispatch(std::unique_ptr<Interposition> interposition, std::unique_ptr<Dispatch> methods)
      : interposition_(std::move(interposition)), methods_(std::move(methods)) {}

  const google::protobuf::ServiceDescriptor* descriptor() const override {
    return methods_->descriptor();
  }
  absl::Span<const DispatchMethod> methods() const override { return methods_->methods(); }
  void* service() override { return methods_->service(); }
  bool quick() const override { return false; }
  StreamTaps* taps() override { return interposition_.get(); }

  WireServices MakeWire(WireGate* gate, const std::shared_ptr<grpc::Channel>* inner) override {
    return methods_->MakeWire(gate, inner);
  }

 private:
  const std::unique_ptr<Interposition> interposition_;
  const std::unique_ptr<Dispatch> methods_;
};

}  // namespace

std::shared_ptr<Endpoint> ProxyEndpoint(const google::protobuf::ServiceDescriptor& service,
                                        const ServiceInputs& inputs, Endpoint::MakeStub make_stub) {
  v1::ProxySettings settings;
  if (!inputs.settings.type_url().empty() && !inputs.settings.UnpackTo(&settings)) {
    return MakeFailingEndpoint(absl::FailedPreconditionError("proxy: malformed settings"));
  }
  if (settings.has_remote()) {
    size_t bound = service.options().GetExtension(v1::authority).max_message_bytes();
    if (bound == 0) bound = transport::kDefaultMaxMessageSize;
    return MakeRemoteEndpoint(settings.remote(), std::min(bound, transport::kMaxMessageSize),
                              make_stub);
  }
  if (inputs.upstream == nullptr) {
    return MakeFailingEndpoint(absl::FailedPreconditionError("proxy: no channel to forward to"));
  }
  return MakeLaneEndpoint(inputs.upstream, make_stub);
}

std::unique_ptr<Dispatch> ServeProxy(std::unique_ptr<Interposition> interposition,
                                     std::unique_ptr<Dispatch> methods) {
  return std::make_unique<ProxyDispatch>(std::move(interposition), std::move(methods));
}

}  // namespace capbroker::serving
