#include "transport/channel.h"

#include <grpcpp/create_channel_posix.h>
#include <grpcpp/support/channel_arguments.h>
#include <poll.h>

#include <utility>

#include "base/status_macros.h"
#include "transport/call_descriptors.h"
#include "transport/grpc_access.h"
#include "transport/grpc_status.h"
#include "transport/packet.h"
#include "transport/unary_call.h"

namespace capbroker {
namespace {

using transport::ClientMethod;
using transport::MethodId;

constexpr ClientMethod CapabilityMethod(const char* name, bool response_descriptors) {
  return {name, MethodId(name), false, response_descriptors};
}
constexpr ClientMethod kClone = CapabilityMethod("/capbroker.v1.Capability/Clone", true);
constexpr ClientMethod kNarrow = CapabilityMethod("/capbroker.v1.Capability/Narrow", false);
constexpr ClientMethod kGetLimits = CapabilityMethod("/capbroker.v1.Capability/GetLimits", false);
constexpr ClientMethod kDescribe = CapabilityMethod("/capbroker.v1.Capability/Describe", false);
constexpr ClientMethod kOpenWire = CapabilityMethod("/capbroker.v1.Capability/OpenWire", true);

bool PeerClosed(FdRef socket) {
  pollfd p = {socket.get(), POLLRDHUP, 0};
  return poll(&p, 1, 0) > 0;
}

template <typename Response>
absl::StatusOr<Response> Call(transport::LaneClient& lane, const ClientMethod& method,
                              const google::protobuf::Message& request) {
  grpc::ClientContext context;
  Response response;
  CB_RETURN_IF_ERROR(
      FromGrpcStatus(transport::CallUnary(lane, method, &context, request, &response)));
  return response;
}

// The same for an answer whose one descriptor is what was asked for.
template <typename Response, typename Field>
absl::StatusOr<UniqueFd> CallForDescriptor(transport::LaneClient& lane, const ClientMethod& method,
                                           const google::protobuf::Message& request, Field field) {
  grpc::ClientContext context;
  CallDescriptors descriptors(&context);
  Response response;
  CB_RETURN_IF_ERROR(
      FromGrpcStatus(transport::CallUnary(lane, method, &context, request, &response)));
  return descriptors.Take((response.*field)());
}

}  // namespace

Channel::Channel(UniqueFd lane) : lane_(std::move(lane)) {}

absl::StatusOr<std::shared_ptr<Channel>> Channel::Adopt(UniqueFd lane) {
  Channel received(std::move(lane));
  return received.Clone();
}

absl::StatusOr<std::shared_ptr<Channel>> Channel::Clone() {
  CB_ASSIGN_OR_RETURN(UniqueFd lane, CallForDescriptor<v1::CloneResponse>(
                                         lane_, kClone, v1::CloneRequest(),
                                         &v1::CloneResponse::channel));
  return std::make_shared<Channel>(std::move(lane));
}

absl::StatusOr<v1::NarrowResponse> Channel::Narrow(const google::protobuf::Message& limits) {
  v1::NarrowRequest request;
  request.mutable_limits()->PackFrom(limits);
  return Call<v1::NarrowResponse>(lane_, kNarrow, request);
}

absl::Status Channel::GetLimits(google::protobuf::Message* limits) {
  CB_ASSIGN_OR_RETURN(const v1::GetLimitsResponse response,
                      Call<v1::GetLimitsResponse>(lane_, kGetLimits, v1::GetLimitsRequest()));
  if (!response.limits().UnpackTo(limits)) {
    return absl::InvalidArgumentError("get limits: the channel has limits of another type");
  }
  return absl::OkStatus();
}

absl::StatusOr<v1::DescribeResponse> Channel::Describe() {
  return Call<v1::DescribeResponse>(lane_, kDescribe, v1::DescribeRequest());
}

absl::StatusOr<UniqueFd> Channel::OpenWire() {
  return CallForDescriptor<v1::OpenWireResponse>(lane_, kOpenWire, v1::OpenWireRequest(),
                                                 &v1::OpenWireResponse::wire);
}

absl::StatusOr<std::shared_ptr<grpc::Channel>> Channel::Grpc() {
  absl::MutexLock lock(&wire_mutex_);
  // A wire whose server is gone is opened anew: a successor may serve by now.
  if (wire_ != nullptr && !PeerClosed(wire_socket_)) return wire_;
  CB_ASSIGN_OR_RETURN(UniqueFd wire, OpenWire());
  CB_ASSIGN_OR_RETURN(wire_socket_, Duplicate(wire));
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(transport::kMaxMessageSize);
  // gRPC closes the descriptor with its transport.
  wire_ = grpc::CreateCustomInsecureChannelFromFd("capbroker", std::move(wire).Release(), arguments);
  return wire_;
}

std::shared_ptr<grpc::Channel> Channel::GrpcOrFailing() {
  absl::StatusOr<std::shared_ptr<grpc::Channel>> channel = Grpc();
  return channel.ok() ? *std::move(channel) : transport::FailingChannel(channel.status());
}

absl::StatusOr<UniqueFd> Channel::Release() { return lane_.Release(); }

void Channel::Close() { lane_.Close(); }

}  // namespace capbroker
