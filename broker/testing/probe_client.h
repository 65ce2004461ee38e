// The probe's client side in one line per call. Lives in: tests and their workers.
#ifndef BROKER_TESTING_PROBE_CLIENT_H_
#define BROKER_TESTING_PROBE_CLIENT_H_

#include <chrono>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "broker/testing/probe.capbroker.h"
#include "transport/channel.h"
#include "transport/grpc_status.h"
#include "transport/stub.h"

namespace capbroker::testing {

class ProbeClient {
 public:
  explicit ProbeClient(std::unique_ptr<v1::Probe::StubInterface> stub) : stub_(std::move(stub)) {}
  explicit ProbeClient(std::shared_ptr<Channel> channel)
      : ProbeClient(NewStub<v1::Probe>(std::move(channel))) {}

  // The process that has answered.
  absl::StatusOr<int> Say(const std::string& word) {
    v1::SayRequest request;
    request.set_word(word);
    v1::SayResponse response;
    const absl::Status status = Call(&v1::Probe::StubInterface::Say, request, &response);
    if (!status.ok()) return status;
    return response.process();
  }

  absl::Status Die(int signal, int exit_code = 0) {
    v1::DieRequest request;
    request.set_signal(signal);
    request.set_exit_code(exit_code);
    v1::DieResponse response;
    return Call(&v1::Probe::StubInterface::Die, request, &response);
  }

  absl::Status Sleep(int milliseconds) {
    v1::SleepRequest request;
    request.set_milliseconds(milliseconds);
    v1::SleepResponse response;
    return Call(&v1::Probe::StubInterface::Sleep, request, &response);
  }

  absl::StatusOr<v1::LookResponse> Look() {
    v1::LookResponse response;
    const absl::Status status = Call(&v1::Probe::StubInterface::Look, v1::LookRequest(), &response);
    if (!status.ok()) return status;
    return response;
  }

 private:
  template <typename Method, typename Request, typename Response>
  absl::Status Call(Method method, const Request& request, Response* response) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(30));
    return FromGrpcStatus((stub_.get()->*method)(&context, request, response));
  }

  std::unique_ptr<v1::Probe::StubInterface> stub_;
};

}  // namespace capbroker::testing

#endif  // BROKER_TESTING_PROBE_CLIENT_H_
