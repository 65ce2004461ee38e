#include "transport/channel.h"

#include <fcntl.h>
#include <grpcpp/create_channel_posix.h>
#include <grpcpp/support/channel_arguments.h>
#include <sys/socket.h>

#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/status_macros.h"
#include "transport/call_descriptors.h"
#include "transport/failing_channel.h"
#include "transport/grpc_status.h"
#include "transport/lane_socket.h"
#include "transport/packet.h"
#include "transport/unary_call.h"

namespace capbroker {
namespace {

using transport::ClientMethod;
using transport::MethodId;

// How long opening a wire may take: not the caller's time, but a service that hangs must not
// keep it. INVARIANT(no-hang)
constexpr auto kWireTime = std::chrono::seconds(10);

constexpr ClientMethod CapabilityMethod(const char* name, bool response_descriptors) {
  return {name, MethodId(name), false, response_descriptors};
}
constexpr ClientMethod kClone = CapabilityMethod("/capbroker.v1.Capability/Clone", true);
constexpr ClientMethod kNarrow = CapabilityMethod("/capbroker.v1.Capability/Narrow", false);
constexpr ClientMethod kGetLimits = CapabilityMethod("/capbroker.v1.Capability/GetLimits", false);
constexpr ClientMethod kDescribe = CapabilityMethod("/capbroker.v1.Capability/Describe", false);
constexpr ClientMethod kOpenWire = CapabilityMethod("/capbroker.v1.Capability/OpenWire", true);

absl::Status Call(transport::LaneClient& lane, const ClientMethod& method,
                  grpc::ClientContext* context, const google::protobuf::Message& request,
                  google::protobuf::Message* response) {
  return FromGrpcStatus(transport::CallUnary(lane, method, context, request, response));
}

}  // namespace

Channel::Channel(UniqueFd lane, const Origin& origin) : origin_(origin), lane_(std::move(lane)) {}

// INVARIANT(one-holder-per-end): `received` is closed when this returns.
absl::StatusOr<std::shared_ptr<Channel>> Channel::Adopt(UniqueFd lane, absl::Duration timeout) {
  Channel received(std::move(lane));
  CB_ASSIGN_OR_RETURN(std::shared_ptr<Channel> adopted,
                      received.CloneUntil(absl::Now() + timeout));
  // The sender's duplicate, if there is one, ends too. Not by a call: it could take its answer.
  shutdown(received.lane_.fd().get(), SHUT_RDWR);
  return adopted;
}

// TRUST(worker): whoever executed this program has chosen what is open.
absl::StatusOr<std::shared_ptr<Channel>> Channel::Unwrap(int number, absl::Duration timeout) {
  int domain = 0;
  int type = 0;
  socklen_t size = sizeof domain;
  const bool lane = getsockopt(number, SOL_SOCKET, SO_DOMAIN, &domain, &size) == 0 &&
                    getsockopt(number, SOL_SOCKET, SO_TYPE, &type, &size) == 0 &&
                    domain == AF_UNIX && type == SOCK_SEQPACKET;
  if (!lane) {
    return absl::InvalidArgumentError(
        absl::StrCat("unwrap channel: descriptor ", number, " is none"));
  }
  return Adopt(UniqueFd(number), timeout);
}

absl::StatusOr<int> Channel::Wrap(UniqueFd lane) {
  if (fcntl(lane.get(), F_SETFD, 0) != 0) return absl::InvalidArgumentError("wrap: not open");
  return std::move(lane).Release();
}

absl::StatusOr<std::shared_ptr<Channel>> Channel::Clone() {
  return CloneUntil(absl::InfiniteFuture());
}

absl::StatusOr<std::shared_ptr<Channel>> Channel::CloneUntil(absl::Time deadline) {
  grpc::ClientContext context;
  if (deadline != absl::InfiniteFuture()) context.set_deadline(absl::ToChronoTime(deadline));
  CallDescriptors descriptors(&context);
  v1::CloneResponse response;
  CB_RETURN_IF_ERROR(Call(lane_, kClone, &context, v1::CloneRequest(), &response));
  CB_ASSIGN_OR_RETURN(UniqueFd lane, descriptors.Take(response.channel()));
  Origin origin;
  if (origin_.family != 0) origin = {origin_.broker, origin_.family, response.number()};
  return std::make_shared<Channel>(std::move(lane), origin);
}

absl::StatusOr<v1::NarrowResponse> Channel::Narrow(const google::protobuf::Message& limits) {
  v1::NarrowRequest request;
  request.mutable_limits()->PackFrom(limits);
  grpc::ClientContext context;
  v1::NarrowResponse response;
  CB_RETURN_IF_ERROR(Call(lane_, kNarrow, &context, request, &response));
  return response;
}

absl::Status Channel::GetLimits(google::protobuf::Message* limits) {
  grpc::ClientContext context;
  v1::GetLimitsResponse response;
  CB_RETURN_IF_ERROR(Call(lane_, kGetLimits, &context, v1::GetLimitsRequest(), &response));
  if (!response.limits().UnpackTo(limits)) {
    return absl::InvalidArgumentError("get limits: the channel has limits of another type");
  }
  return absl::OkStatus();
}

absl::StatusOr<v1::DescribeResponse> Channel::Describe(bool with_schema) {
  grpc::ClientContext context;
  v1::DescribeRequest request;
  request.set_with_schema(with_schema);
  v1::DescribeResponse response;
  CB_RETURN_IF_ERROR(Call(lane_, kDescribe, &context, request, &response));
  return response;
}

absl::StatusOr<UniqueFd> Channel::OpenWire() {
  grpc::ClientContext context;
  // Callers have their own deadlines, of which nobody knows here.
  context.set_deadline(std::chrono::system_clock::now() + kWireTime);
  CallDescriptors descriptors(&context);
  v1::OpenWireResponse response;
  CB_RETURN_IF_ERROR(Call(lane_, kOpenWire, &context, v1::OpenWireRequest(), &response));
  return descriptors.Take(response.wire());
}

absl::StatusOr<std::shared_ptr<grpc::Channel>> Channel::Grpc() {
  absl::MutexLock lock(&wire_mutex_);
  // A wire whose server is gone is opened anew: a successor may serve by now.
  if (wire_ != nullptr && !transport::PeerClosed(wire_socket_)) return wire_;
  CB_ASSIGN_OR_RETURN(UniqueFd wire, OpenWire());
  CB_ASSIGN_OR_RETURN(wire_socket_, Duplicate(wire));
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(transport::kMaxMessageSize);
  // gRPC closes the descriptor with its transport.
  wire_ =
      grpc::CreateCustomInsecureChannelFromFd("capbroker", std::move(wire).Release(), arguments);
  return wire_;
}

std::shared_ptr<grpc::Channel> Channel::GrpcOrFailing() {
  absl::StatusOr<std::shared_ptr<grpc::Channel>> channel = Grpc();
  return channel.ok() ? *std::move(channel)
                      : transport::FailingChannel(ToGrpcStatus(channel.status()));
}

absl::Status Channel::CompleteIn(std::shared_ptr<CallbackLoop> loop) {
  return lane_.CompleteIn(std::move(loop));
}

absl::StatusOr<UniqueFd> Channel::Release() { return lane_.Release(); }

void Channel::Close() { lane_.Close(); }

}  // namespace capbroker
