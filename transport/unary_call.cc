#include "transport/unary_call.h"

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/inlined_vector.h"
#include "capbroker/v1/lane.pb.h"
#include "transport/call_descriptors.h"
#include "transport/descriptor_rights.h"
#include "transport/grpc_access.h"
#include "transport/grpc_status.h"
#include "transport/packet.h"

namespace capbroker::transport {
namespace {

using google::protobuf::Message;

// What a call sends, kept together while it is being sent.
class OutgoingCall {
 public:
  OutgoingCall(const ClientMethod& method, grpc::ClientContext* context, const Message& request)
      : request_(request) {
    const std::multimap<std::string, std::string>& sent =
        ClientContextAccess::SentMetadata(*context);
    if (!sent.empty()) {
      v1::RequestMetadata metadata;
      for (const auto& [key, value] : sent) {
        v1::MetadataEntry* entry = metadata.add_entries();
        entry->set_key(key);
        entry->set_value(value);
      }
      metadata_ = metadata.SerializeAsString();
    }
    if (method.request_descriptors) {
      if (CallDescriptors* own = CallDescriptors::Of(context)) {
        checked_ = ReduceDescriptors(request, absl::MakeSpan(own->attached()));
        descriptors_.assign(own->attached().begin(), own->attached().end());
      }
      checked_.Update(CheckDescriptors(request, descriptors_));
    }
  }

  // Errors of the caller's own making, before anything is sent.
  const absl::Status& checked() const { return checked_; }

  LaneRequest Build(const ClientMethod& method, const grpc::ClientContext& context,
                    absl::FunctionRef<bool(char*)> serialize) const {
    return {method.id,    DeadlineNs(context),        metadata_, request_.ByteSizeLong(), serialize,
            descriptors_, method.response_descriptors};
  }

  bool Serialize(char* bytes) const {
    request_.SerializeWithCachedSizesToArray(reinterpret_cast<uint8_t*>(bytes));
    return true;
  }

 private:
  const Message& request_;
  std::string metadata_;
  absl::InlinedVector<FdRef, 2> descriptors_;
  absl::Status checked_;
};

grpc::Status ReadMetadata(const Reply& reply, grpc::ClientContext* context) {
  v1::ReplyMetadata metadata;
  if (!metadata.ParseFromArray(reply.metadata.data(), static_cast<int>(reply.metadata.size()))) {
    return grpc::Status(grpc::StatusCode::INTERNAL, "malformed reply metadata");
  }
  ClientContextAccess::SetServerMetadata(*context, metadata);
  return grpc::Status(static_cast<grpc::StatusCode>(reply.status), metadata.status_message(),
                      metadata.status_details());
}

// Checks the descriptors and hands them to the caller, who may have no place for
// them: then they are closed with the reply.
grpc::Status DeliverDescriptors(Reply& reply, const grpc::ClientContext* context,
                                const Message& response) {
  const absl::InlinedVector<FdRef, 2> refs(reply.descriptors.begin(), reply.descriptors.end());
  if (const absl::Status checked = CheckDescriptors(response, refs); !checked.ok()) {
    return grpc::Status(grpc::StatusCode::INTERNAL, std::string(checked.message()));
  }
  if (CallDescriptors* own = CallDescriptors::Of(context)) {
    own->SetReceived(std::move(reply.descriptors));
  }
  return grpc::Status::OK;
}

grpc::Status ReadReply(const ClientMethod& method, Reply& reply, grpc::ClientContext* context,
                       Message* response) {
  if (!reply.error.empty()) {
    ClientContextAccess::SetServerMetadata(*context, {});
    return grpc::Status(static_cast<grpc::StatusCode>(reply.status), reply.error);
  }
  grpc::Status status = grpc::Status::OK;
  if (!reply.metadata.empty()) {
    status = ReadMetadata(reply, context);
  } else {
    ClientContextAccess::SetServerMetadata(*context, {});
    if (reply.status != 0) status = grpc::Status(static_cast<grpc::StatusCode>(reply.status), "");
  }
  if (!status.ok()) return status;
  if (!reply.message.ParseTo(response)) {
    return grpc::Status(grpc::StatusCode::INTERNAL, "malformed response");
  }
  if (method.response_descriptors) return DeliverDescriptors(reply, context, *response);
  if (!reply.descriptors.empty()) {
    return grpc::Status(grpc::StatusCode::INTERNAL, "response with an undeclared descriptor");
  }
  return grpc::Status::OK;
}

// Lives until its OnDone.
class BoundUnary final : public grpc::ClientCallbackUnary {
 public:
  BoundUnary(LaneClient& lane, const ClientMethod& method, grpc::ClientContext* context,
             const Message* request, Message* response, grpc::ClientUnaryReactor* reactor)
      : lane_(lane),
        method_(method),
        context_(context),
        request_(request),
        response_(response),
        reactor_(reactor) {
    BindReactor(reactor);
  }

  void StartCall() override {
    StartUnary(lane_, method_, context_, request_, response_, [this](const grpc::Status& status) {
      grpc::ClientUnaryReactor* reactor = reactor_;
      delete this;
      reactor->OnReadInitialMetadataDone(status.ok());
      reactor->OnDone(status);
    });
  }

 private:
  LaneClient& lane_;
  const ClientMethod& method_;
  grpc::ClientContext* const context_;
  const Message* const request_;
  Message* const response_;
  grpc::ClientUnaryReactor* const reactor_;
};

}  // namespace

grpc::Status CallUnary(LaneClient& lane, const ClientMethod& method, grpc::ClientContext* context,
                       const Message& request, Message* response) {
  const OutgoingCall outgoing(method, context, request);
  if (!outgoing.checked().ok()) {
    ClientContextAccess::SetServerMetadata(*context, {});
    return ToGrpcStatus(outgoing.checked());
  }
  const auto serialize = [&](char* bytes) { return outgoing.Serialize(bytes); };
  grpc::Status status;
  lane.Call(
      outgoing.Build(method, *context, serialize),
      [context] { return ClientContextAccess::IsCancelled(*context); },
      [&](Reply& reply) { status = ReadReply(method, reply, context, response); });
  return status;
}

void StartUnary(LaneClient& lane, const ClientMethod& method, grpc::ClientContext* context,
                const Message* request, Message* response, std::function<void(grpc::Status)> done) {
  const OutgoingCall outgoing(method, context, *request);
  const auto serialize = [&](char* bytes) {
    return outgoing.checked().ok() && outgoing.Serialize(bytes);
  };
  lane.StartCall(
      outgoing.Build(method, *context, serialize),
      [context] { return ClientContextAccess::IsCancelled(*context); },
      [&method, context, response, done = std::move(done),
       checked = outgoing.checked()](Reply& reply) {
        done(checked.ok() ? ReadReply(method, reply, context, response) : ToGrpcStatus(checked));
      });
}

void BindUnary(LaneClient& lane, const ClientMethod& method, grpc::ClientContext* context,
               const Message* request, Message* response, grpc::ClientUnaryReactor* reactor) {
  new BoundUnary(lane, method, context, request, response, reactor);
}

}  // namespace capbroker::transport
