// The descriptors that travel with one call, on the caller's side.
//
//   grpc::ClientContext context;
//   CallDescriptors descriptors(&context);
//   grpc::Status status = files->Open(&context, request, &response);
//   if (status.ok()) file = descriptors.Take(response.file());
//
// What is not taken is closed with this object. A call without one closes every
// descriptor that comes with its answer. INVARIANT(descriptor-belongs-to-call)
//
// Lives in: whoever holds a channel. One thread at a time; a callback call's
// object lives until the callback.
#ifndef TRANSPORT_CALL_DESCRIPTORS_H_
#define TRANSPORT_CALL_DESCRIPTORS_H_

#include <grpcpp/client_context.h>

#include <vector>

#include "absl/status/statusor.h"
#include "base/unique_fd.h"
#include "capbroker/v1/authority.pb.h"

namespace capbroker {

class CallDescriptors {
 public:
  // `context` is the call's, and outlives this.
  explicit CallDescriptors(const grpc::ClientContext* context);
  ~CallDescriptors();
  CallDescriptors(const CallDescriptors&) = delete;
  CallDescriptors& operator=(const CallDescriptors&) = delete;

  // The descriptor that `field` of the response names; once. NOT_FOUND: none.
  absl::StatusOr<UniqueFd> Take(const v1::Descriptor& field);

  // Sends `fd` with the request: puts its slot into `field`. Before the call.
  void Attach(UniqueFd fd, v1::Descriptor* field);

  // For the stub: the object of the call with that context, or null.
  static CallDescriptors* Of(const grpc::ClientContext* context);
  std::vector<UniqueFd>& attached() { return attached_; }
  void SetReceived(std::vector<UniqueFd> received) { received_ = std::move(received); }

 private:
  const grpc::ClientContext* const context_;
  std::vector<UniqueFd> attached_;
  std::vector<UniqueFd> received_;
};

}  // namespace capbroker

#endif  // TRANSPORT_CALL_DESCRIPTORS_H_
