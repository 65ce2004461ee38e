// The Dialer's client side in one line per call. Lives in: tests and their workers.
#ifndef TESTS_LEASES_DIALING_H_
#define TESTS_LEASES_DIALING_H_

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/unique_fd.h"
#include "tests/leases/dialer.capbroker.h"
#include "transport/call_descriptors.h"
#include "transport/channel.h"
#include "transport/grpc_status.h"
#include "transport/stub.h"

namespace capbroker::testing {

class Dialing {
 public:
  explicit Dialing(std::unique_ptr<v1::Dialer::StubInterface> stub) : stub_(std::move(stub)) {}
  explicit Dialing(std::shared_ptr<Channel> channel)
      : Dialing(NewStub<v1::Dialer>(std::move(channel))) {}

  // Leased.
  absl::StatusOr<std::vector<UniqueFd>> DialSome(uint16_t port, uint32_t count) {
    v1::DialRequest request;
    request.set_port(port);
    request.set_count(count);
    return Dial(request, absl::Seconds(20));
  }
  absl::StatusOr<UniqueFd> DialOne(uint16_t port) {
    absl::StatusOr<std::vector<UniqueFd>> some = DialSome(port, 1);
    if (!some.ok()) return some.status();
    return std::move(some->front());
  }
  // Answered later than the caller waits for.
  absl::Status DialTooLate(uint16_t port, uint32_t milliseconds) {
    v1::DialRequest request;
    request.set_port(port);
    request.set_count(1);
    request.set_milliseconds(milliseconds);
    return Dial(request, absl::Milliseconds(100)).status();
  }

  absl::StatusOr<UniqueFd> DialForGood(uint16_t port) {
    grpc::ClientContext context;
    CallDescriptors descriptors(&context);
    v1::DialForGoodRequest request;
    v1::DialForGoodResponse response;
    request.set_port(port);
    const grpc::Status status = stub_->DialForGood(&context, request, &response);
    if (!status.ok()) return FromGrpcStatus(status);
    return descriptors.Take(response.connection());
  }

  absl::Status Crash() {
    grpc::ClientContext context;
    v1::CrashResponse response;
    return FromGrpcStatus(stub_->Crash(&context, v1::CrashRequest(), &response));
  }

 private:
  absl::StatusOr<std::vector<UniqueFd>> Dial(const v1::DialRequest& request,
                                             absl::Duration timeout) {
    grpc::ClientContext context;
    context.set_deadline(absl::ToChronoTime(absl::Now() + timeout));
    CallDescriptors descriptors(&context);
    v1::DialResponse response;
    const grpc::Status status = stub_->Dial(&context, request, &response);
    if (!status.ok()) return FromGrpcStatus(status);
    std::vector<UniqueFd> connections;
    for (const ::capbroker::v1::Descriptor& field : response.connections()) {
      absl::StatusOr<UniqueFd> connection = descriptors.Take(field);
      if (!connection.ok()) return connection.status();
      connections.push_back(*std::move(connection));
    }
    return connections;
  }

  std::unique_ptr<v1::Dialer::StubInterface> stub_;
};

}  // namespace capbroker::testing

#endif  // TESTS_LEASES_DIALING_H_
