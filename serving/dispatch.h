// The dispatch table of a service: how a method's name becomes a call of the
// user's ordinary `Foo::Service` (or `Foo::CallbackService`) object.
//
// protoc-gen-capbroker generates a `Dispatch` for every proto service. The lane
// server and the wire's server both go through it, so that one handler object
// serves both paths, behind the same check. INVARIANT(same-check-on-both-paths)
//
// A service class is synchronous (`Foo::Service`), or, if all its methods are
// unary, written against gRPC's callback API (`Foo::CallbackService`).
//
// Lives in: service processes, the broker.
#ifndef SERVING_DISPATCH_H_
#define SERVING_DISPATCH_H_

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>
#include <grpcpp/channel.h>
#include <grpcpp/impl/codegen/service_type.h>
#include <grpcpp/server_context.h>

#include <cstdint>
#include <memory>

#include "absl/types/span.h"

namespace grpc {
class ServerUnaryReactor;
}

namespace capbroker::serving {

class Call;
class StreamTaps;
class WireGate;

// A unary call on a lane, as the dispatch table sees it.
class UnaryInvocation {
 public:
  virtual ~UnaryInvocation() = default;
  virtual Call* call() = 0;
  virtual const google::protobuf::Message* request() const = 0;
  virtual google::protobuf::Message* response() = 0;
  // The context of a handler of either kind; made at first use.
  virtual grpc::ServerContext* sync_context() = 0;
  virtual grpc::CallbackServerContext* callback_context() = 0;
  // The answer of a synchronous handler.
  virtual void Answer(const grpc::Status& status) = 0;
  // The reactor of a callback handler, which answers by its Finish().
  virtual void Bind(grpc::ServerUnaryReactor* reactor) = 0;
};

struct DispatchMethod {
  const char* name;          // "/package.Service/Method"
  uint64_t id;               // transport::MethodId(name)
  int index;                 // in the ServiceDescriptor
  bool unary;                // others are on the wire only
  bool request_descriptors;  // whether a field of it names one
  bool response_descriptors;
  const google::protobuf::Message* (*request)();  // prototypes
  const google::protobuf::Message* (*response)();
  void (*invoke)(void* service, UnaryInvocation& call);  // null if not unary
};

// The gRPC services of one wire: `outer` checks every message and calls unary
// handlers. Methods with a stream are forwarded, message by message, to `inner` in
// the same process: gRPC's own readers and writers, which such handlers are given, have
// no place for a check.
struct WireServices {
  std::unique_ptr<grpc::Service> outer;
  std::unique_ptr<grpc::Service> inner;  // null if no method streams
};

class Dispatch {
 public:
  virtual ~Dispatch() = default;

  virtual const google::protobuf::ServiceDescriptor* descriptor() const = 0;
  virtual absl::Span<const DispatchMethod> methods() const = 0;
  // What `invoke` is called with.
  virtual void* service() = 0;
  // Whether handlers never wait: callback handlers, and those of a class that
  // says `static constexpr bool kQuickHandlers = true`. They need no thread of
  // their own, and a slow one delays its whole service process.
  virtual bool quick() const = 0;
  // For a wire whose calls `gate` admits. `inner` is a channel to
  // WireServices::inner, set by the wire server before the first call.
  virtual WireServices MakeWire(WireGate* gate, const std::shared_ptr<grpc::Channel>* inner) = 0;
  // Of a proxy: where its calls with a stream of requests go, in the place of handlers.
  virtual StreamTaps* taps() { return nullptr; }
};

// Whether a service class declares its handlers quick.
template <typename Service>
constexpr bool HasQuickHandlers() {
  if constexpr (requires { Service::kQuickHandlers; }) {
    return Service::kQuickHandlers;
  } else {
    return false;
  }
}

}  // namespace capbroker::serving

#endif  // SERVING_DISPATCH_H_
