// What a handler may know of the call that it answers, beyond gRPC's context:
// the limits of the channel that it came on, and its descriptors.
//
//   grpc::Status Open(grpc::ServerContext* context, const OpenRequest* request,
//                     OpenResponse* response) override {
//     serving::Call& call = serving::Call::Of(context);
//     ...
//     return call.Attach(std::move(file), response->mutable_file());
//   }
//
// Lives in: service processes. The object is valid until the handler returns; of
// a callback handler, until it calls Finish().
#ifndef SERVING_CALL_H_
#define SERVING_CALL_H_

#include <grpcpp/server_context.h>

#include <memory>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "authority/limits.h"
#include "base/unique_fd.h"
#include "capbroker/v1/authority.pb.h"

namespace capbroker::serving {

class ChannelState;

class Call {
 public:
  virtual ~Call() = default;

  // The call that this thread's handler was called with. Dies if there is none:
  // a handler that goes on in another thread keeps the reference.
  static Call& Of(const grpc::ServerContextBase* context);

  // The limits of the channel at the time of the check: what the handler checks
  // an object with once it has looked at it. INVARIANT(object-checked-after-look)
  virtual const std::shared_ptr<const authority::Limits>& limits() const = 0;

  // Whether descriptors travel with the response: on a lane, not on a wire. For what
  // must not be done when its result cannot be sent.
  virtual bool CanAttach() const = 0;

  // Sends `fd` with the response: puts its slot into `field`, a Descriptor of the
  // response. FAILED_PRECONDITION on the wire, which carries none. Where the proto says
  // `lease: SHUT_DOWN`, a duplicate is kept, and the connection ends with the channel.
  virtual grpc::Status Attach(UniqueFd fd, v1::Descriptor* field) = 0;

  // The descriptor of the request that `field` names. INVALID_ARGUMENT: none.
  virtual absl::StatusOr<UniqueFd> Take(const v1::Descriptor& field) = 0;

  // Makes a channel to this service whose limits are the meet of this channel's
  // and `limits`, and sends it with the response.
  grpc::Status AttachChannel(const google::protobuf::Message& limits, v1::Descriptor* field) {
    return AttachBoundChannel(limits, field, nullptr);
  }
  // The same, and binds what a handler needs for calls on that channel and its clones:
  // ChannelState::bound(). Unless it is null, these channels end with this process.
  virtual grpc::Status AttachBoundChannel(const google::protobuf::Message& limits,
                                          v1::Descriptor* field, std::shared_ptr<void> bound) = 0;

  // The status of a call that the object itself forbids: PERMISSION_DENIED with
  // reason OBJECT_REFUSED and the limits field that decided.
  virtual grpc::Status Refuse(absl::string_view field) const = 0;

  // The channel that the call came on. For the methods of the channel itself; a
  // service has no use for it.
  virtual ChannelState& channel() = 0;

  // The channel ends when this call is answered. FAILED_PRECONDITION on the wire.
  virtual grpc::Status EndChannel() = 0;
};

// Makes `call` what Call::Of(context) gives on this thread, while it lives.
// Scopes nest.
class CallScope {
 public:
  CallScope(const grpc::ServerContextBase* context, Call* call);
  ~CallScope();
  CallScope(const CallScope&) = delete;
  CallScope& operator=(const CallScope&) = delete;

 private:
  friend class Call;
  const grpc::ServerContextBase* const context_;
  Call* const call_;
  const CallScope* const outer_;
};

}  // namespace capbroker::serving

#endif  // SERVING_CALL_H_
