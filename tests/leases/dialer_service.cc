#include "tests/leases/dialer_service.h"

#include <unistd.h>

#include <utility>

#include "services/service.h"
#include "serving/call.h"
#include "tests/leases/sockets.h"

namespace capbroker::testing {
namespace {

grpc::Status Connect(serving::Call& call, uint32_t port, ::capbroker::v1::Descriptor* field) {
  UniqueFd connection = ConnectTo(static_cast<uint16_t>(port));
  if (!connection.valid()) return grpc::Status(grpc::StatusCode::UNAVAILABLE, "nobody listens");
  return call.Attach(std::move(connection), field);
}

}  // namespace

serving::ServiceNeeds DialerService::Needs() {
  return {.tcp = true, .as_opened = [](const google::protobuf::Any& any, const auto&) {
            serving::ServiceReach reach;
            v1::DialerLimits limits;
            if (!any.UnpackTo(&limits)) return reach;
            for (const uint32_t port : limits.ports()) {
              reach.tcp_ports.push_back(static_cast<uint16_t>(port));
            }
            return reach;
          }};
}

grpc::Status DialerService::Dial(grpc::ServerContext* context, const v1::DialRequest* request,
                                 v1::DialResponse* response) {
  serving::Call& call = serving::Call::Of(context);
  for (uint32_t i = 0; i < request->count(); ++i) {
    const grpc::Status connected = Connect(call, request->port(), response->add_connections());
    if (!connected.ok()) return connected;
  }
  usleep(request->milliseconds() * 1000);
  return grpc::Status::OK;
}

grpc::Status DialerService::DialForGood(grpc::ServerContext* context,
                                        const v1::DialForGoodRequest* request,
                                        v1::DialForGoodResponse* response) {
  return Connect(serving::Call::Of(context), request->port(), response->mutable_connection());
}

grpc::Status DialerService::Crash(grpc::ServerContext*, const v1::CrashRequest*,
                                  v1::CrashResponse*) {
  _exit(7);
}

v1::DialerLimits DialerLimits(uint16_t port) {
  v1::DialerLimits limits;
  limits.add_ports(port);
  return limits;
}

Authority Dial(uint16_t port) { return Serve<DialerService>(DialerLimits(port)); }

}  // namespace capbroker::testing
