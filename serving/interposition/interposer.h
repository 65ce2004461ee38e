// What an application puts between a channel and its holder.
//
// A proxy serves a service by calling a channel of the same service. Its holder sees
// the service, under limits of the proxy's own; an interposer sees every message on the
// way, and may log it, change it, delay it, refuse it, or answer in place of what is
// upstream. It works on messages by reflection, so that one interposer fits any service:
//
//   class Logger : public capbroker::Interposer {
//     grpc::Status OnDone(InterposedCall& call, grpc::Status status) override {
//       std::cerr << call.method().full_name() << ": " << status.error_code() << "\n";
//       return status;
//     }
//   };
//   .grants = {{"dns", capbroker::Interpose<dns::v1::Resolver, Logger>(channel, limits)}}
//
// One that knows its service looks at a message with
// `google::protobuf::DynamicCastToGenerated<dns::v1::ResolveRequest>(&request)`.
//
// What the holder asks has passed the limits of its own channel before an interposer
// sees it. What the interposer makes of it is the application's word, which nothing
// here checks again: what is upstream of the proxy has limits of its own.
//
// Lives in: the service process of the proxy, one object for all calls. Made anew in a
// successor of a process that crashed: it must not be relied on to remember.
#ifndef SERVING_INTERPOSITION_INTERPOSER_H_
#define SERVING_INTERPOSITION_INTERPOSER_H_

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>
#include <grpcpp/server_context.h>
#include <grpcpp/support/status.h>

#include <optional>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "serving/call.h"

namespace capbroker {

// A call on its way through a proxy.
class InterposedCall {
 public:
  virtual ~InterposedCall() = default;

  virtual const google::protobuf::MethodDescriptor& method() const = 0;

  // The caller's: its metadata, its deadline, and whether it still waits.
  virtual const grpc::ServerContextBase& context() const = 0;

  // The limits of the caller's channel, and the descriptors of an answer that OnRequest()
  // gives itself.
  virtual serving::Call& serving() = 0;

  // An answer in place of what is upstream, for OnRequest() to fill in before it returns
  // OK. A call with one answer has one; a stream of answers sends all.
  virtual google::protobuf::Message& AddAnswer() = 0;

  // Waits. CANCELLED: the caller no longer does; DEADLINE_EXCEEDED: it cannot.
  virtual grpc::Status WaitFor(absl::Duration duration) = 0;
};

// The hooks of one call run one after the other, and those of several calls at once. They
// may take their time: a unary call or a stream of answers has a thread of the service
// process while it lasts, any other stream a thread of its own.
class Interposer {
 public:
  virtual ~Interposer() = default;

  // A request, or each of a stream. Nothing: it is passed on as it is left. A status ends
  // the call with it, and OK with the call's answers.
  virtual std::optional<grpc::Status> OnRequest(InterposedCall& call,
                                                google::protobuf::Message& request) {
    (void)call, (void)request;
    return std::nullopt;
  }

  // An answer from upstream, or each of a stream. Not OK ends the call with that. Of a field
  // that names a descriptor nothing but its being there may be changed.
  virtual grpc::Status OnResponse(InterposedCall& call, google::protobuf::Message& response) {
    (void)call, (void)response;
    return grpc::Status::OK;
  }

  // The end of a call that OnRequest() or the end of its stream has seen; once. Gives what
  // the caller is told.
  virtual grpc::Status OnDone(InterposedCall& call, grpc::Status status) {
    (void)call;
    return status;
  }

  // Whether a channel that no proxy can stand in for may pass as it is: one of another
  // service (`service`) in an answer, or any in a request (`service` is empty: nobody has
  // asked it). Calls on it are not seen here. INVARIANT(membrane)
  virtual bool MayPass(InterposedCall& call, const google::protobuf::FieldDescriptor& field,
                       absl::string_view service) {
    (void)call, (void)field, (void)service;
    return false;
  }
};

}  // namespace capbroker

#endif  // SERVING_INTERPOSITION_INTERPOSER_H_
