#include "serving/interposition/membrane.h"

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/clock.h"
#include "capbroker/v1/authority.pb.h"
#include "capbroker/v1/capability.capbroker.h"
#include "serving/channel/channel_state.h"
#include "serving/upstream_channel.h"
#include "transport/descriptor_rights.h"
#include "transport/grpc_status.h"

namespace capbroker::serving {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

// What a channel may take to say what it is.
constexpr absl::Duration kMostTime = absl::Seconds(5);

// A field that names a descriptor.
struct Naming {
  const FieldDescriptor* field;
  v1::Descriptor* slot;
};

void Collect(Message& message, std::vector<Naming>& found) {
  const google::protobuf::Reflection* reflection = message.GetReflection();
  std::vector<const FieldDescriptor*> fields;
  reflection->ListFields(message, &fields);
  for (const FieldDescriptor* field : fields) {
    if (field->cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE) continue;
    const int count = field->is_repeated() ? reflection->FieldSize(message, field) : 1;
    for (int i = 0; i < count; ++i) {
      Message* const value = field->is_repeated()
                                 ? reflection->MutableRepeatedMessage(&message, field, i)
                                 : reflection->MutableMessage(&message, field);
      if (value->GetDescriptor() != v1::Descriptor::descriptor()) {
        Collect(*value, found);
      } else if (auto* const slot = static_cast<v1::Descriptor*>(value); slot->slot() != 0) {
        found.push_back({field, slot});
      }
    }
  }
}

std::vector<Naming> NamedBy(Message& message) {
  std::vector<Naming> found;
  if (transport::CarriesDescriptors(message.GetDescriptor())) Collect(message, found);
  return found;
}

bool IsChannel(FdRef fd) {
  v1::DescriptorRights channel;
  channel.add_kinds(v1::DescriptorRights::LANE);
  return transport::CheckRights(fd, channel).ok();
}

// Puts a channel that came in an answer, or one in its place, into the caller's answer.
grpc::Status PassChannel(Interposer& interposer, InterposedCall& call, const Naming& naming,
                         UniqueFd lane, Endpoint::MakeStub make_stub, absl::Time deadline) {
  // It may be anybody's channel, and nobody may be there.
  deadline = std::min(deadline, absl::Now() + kMostTime);
  // INVARIANT(one-holder-per-end): adopted, whoever has a duplicate.
  const auto adopted =
      std::make_shared<UpstreamChannel>(std::move(lane), UpstreamChannel::Original::kEnded);
  const absl::StatusOr<std::shared_ptr<Channel>> channel = adopted->Get(deadline);
  if (!channel.ok()) return ToGrpcStatus(channel.status());
  const std::unique_ptr<v1::Capability::StubInterface> capability =
      NewStub<v1::Capability>(*channel);
  v1::DescribeResponse described;
  {
    grpc::ClientContext context;
    context.set_deadline(absl::ToChronoTime(deadline));
    const grpc::Status status = capability->Describe(&context, v1::DescribeRequest(), &described);
    if (!status.ok()) return status;
  }
  const authority::ServiceSchema& schema = call.serving().channel().schema();
  // INVARIANT(membrane)
  if (described.service() != schema.name() || schema.limits_type() == nullptr) {
    if (!interposer.MayPass(call, *naming.field, described.service())) {
      return call.serving().Refuse(naming.field->name());
    }
    absl::StatusOr<UniqueFd> passed = (*channel)->Release();
    if (!passed.ok()) return ToGrpcStatus(passed.status());
    return call.serving().Attach(*std::move(passed), naming.slot);
  }
  const std::unique_ptr<Message> limits = schema.NewLimits();
  {
    grpc::ClientContext context;
    context.set_deadline(absl::ToChronoTime(deadline));
    v1::GetLimitsResponse response;
    const grpc::Status status = capability->GetLimits(&context, v1::GetLimitsRequest(), &response);
    if (!status.ok()) return status;
    if (!response.limits().UnpackTo(limits.get())) {
      return grpc::Status(grpc::StatusCode::INTERNAL, "a channel with limits of another service");
    }
  }
  return call.serving().AttachBoundChannel(*limits, naming.slot,
                                           MakeLaneEndpoint(adopted, make_stub));
}

}  // namespace

grpc::Status PassRequestDescriptors(Interposer& interposer, InterposedCall& call, Message& request,
                                    CallDescriptors& upstream) {
  for (const Naming& naming : NamedBy(request)) {
    absl::StatusOr<UniqueFd> fd = call.serving().Take(*naming.slot);
    if (!fd.ok()) return ToGrpcStatus(fd.status());
    // INVARIANT(membrane): what is upstream would call it past this proxy.
    if (IsChannel(*fd) && !interposer.MayPass(call, *naming.field, "")) {
      return call.serving().Refuse(naming.field->name());
    }
    upstream.Attach(*std::move(fd), naming.slot);
  }
  return grpc::Status::OK;
}

grpc::Status PassResponseDescriptors(Interposer& interposer, InterposedCall& call,
                                     Message& response, CallDescriptors& upstream,
                                     Endpoint::MakeStub make_stub, absl::Time deadline) {
  for (const Naming& naming : NamedBy(response)) {
    absl::StatusOr<UniqueFd> fd = upstream.Take(*naming.slot);
    if (!fd.ok()) return ToGrpcStatus(absl::InternalError(fd.status().message()));
    const grpc::Status passed =
        IsChannel(*fd) ? PassChannel(interposer, call, naming, *std::move(fd), make_stub, deadline)
                       : call.serving().Attach(*std::move(fd), naming.slot);
    if (!passed.ok()) return passed;
  }
  return grpc::Status::OK;
}

}  // namespace capbroker::serving
