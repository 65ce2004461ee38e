// From a channel to a stub: what generated clients are made of.
//
//   std::unique_ptr<dns::v1::Resolver::StubInterface> dns =
//       capbroker::NewStub<dns::v1::Resolver>(channel);
//
// Lives in: whoever holds a channel.
#ifndef TRANSPORT_STUB_H_
#define TRANSPORT_STUB_H_

#include <grpcpp/channel.h>

#include <memory>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "transport/channel.h"
#include "transport/unary_call.h"

namespace capbroker {

// The generated client of a proto service: `Client`, and `kName`, its full name.
// Specialised by generated code.
template <typename Service>
struct StubOf;

// A stub whose unary calls go over the lane; its streams and completion-queue
// calls go over the wire, opened at first use. Thread-safe, and shares ownership
// of the channel.
template <typename Service>
std::unique_ptr<typename Service::StubInterface> NewStub(std::shared_ptr<Channel> channel) {
  return std::make_unique<typename StubOf<Service>::Client>(std::move(channel));
}

namespace transport {

// The stock stub over the wire of a generated client.
template <typename Service>
class WireStub {
 public:
  explicit WireStub(Channel* channel) : channel_(channel) {}

  // A wire that cannot be had gives a stub whose every call fails with the reason.
  std::shared_ptr<typename Service::Stub> Get() ABSL_LOCKS_EXCLUDED(mutex_) {
    std::shared_ptr<grpc::Channel> wire = channel_->GrpcOrFailing();
    absl::MutexLock lock(&mutex_);
    if (wire != wire_) {
      wire_ = std::move(wire);
      stub_ = Service::NewStub(wire_);
    }
    return stub_;
  }

 private:
  Channel* const channel_;
  absl::Mutex mutex_;
  std::shared_ptr<grpc::Channel> wire_ ABSL_GUARDED_BY(mutex_);
  std::shared_ptr<typename Service::Stub> stub_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace transport
}  // namespace capbroker

#endif  // TRANSPORT_STUB_H_
