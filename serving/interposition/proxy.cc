#include "serving/interposition/proxy.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "capbroker/v1/authority.pb.h"
#include "capbroker/v1/interposition.pb.h"
#include "transport/packet.h"

namespace capbroker::serving {
namespace {

constexpr uint16_t kHttpsPort = 443;  // what gRPC connects to where a target names no port

// "words.example.org:443", "dns:///words.example.org:443", "ipv6:[::1]:443,[::2]:444".
std::vector<uint16_t> PortsOfTarget(const google::protobuf::Any& settings) {
  v1::ProxySettings proxy;
  std::vector<uint16_t> ports;
  if (!settings.UnpackTo(&proxy)) return ports;
  for (const absl::string_view address : absl::StrSplit(proxy.remote().target(), ',')) {
    uint32_t port = 0;
    const size_t colon = address.rfind(':');
    const bool named = colon != absl::string_view::npos &&
                       absl::SimpleAtoi(address.substr(colon + 1), &port) && port <= 65535;
    ports.push_back(named ? static_cast<uint16_t>(port) : kHttpsPort);
  }
  return ports;
}

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

ServiceNeeds RemoteNeeds(ServiceNeeds own) {
  for (const char* file : {"/etc/hosts", "/etc/resolv.conf", "/etc/nsswitch.conf", "/etc/services",
                           "/etc/host.conf", "/etc/gai.conf"}) {
    own.reads.push_back(file);
  }
  own.tcp = true;
  own.tcp_ports.push_back(53);
  own.as_opened = [of_interposer = std::move(own.as_opened)](
                      const google::protobuf::Any& limits, const google::protobuf::Any& settings) {
    ServiceReach reach;
    if (of_interposer != nullptr) reach = of_interposer(limits, settings);
    for (const uint16_t port : PortsOfTarget(settings)) reach.tcp_ports.push_back(port);
    return reach;
  };
  own.udp = true;     // name servers
  own.routes = true;  // which families of addresses this host has
  return own;
}

std::unique_ptr<Dispatch> ServeProxy(std::unique_ptr<Interposition> interposition,
                                     std::unique_ptr<Dispatch> methods) {
  return std::make_unique<ProxyDispatch>(std::move(interposition), std::move(methods));
}

}  // namespace capbroker::serving
