#include "tests/conformance/conformance_service.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <string>
#include <thread>
#include <utility>

#include "base/unique_fd.h"
#include "serving/call.h"

namespace capbroker::testing {
namespace {

std::atomic<int> handled_count{0};
std::atomic<int> cancelled_count{0};

// Whether the time passed without cancellation.
bool Sleep(const grpc::ServerContext& context, uint32_t milliseconds) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(milliseconds);
  while (std::chrono::steady_clock::now() < end) {
    if (context.IsCancelled()) {
      ++cancelled_count;
      return false;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return true;
}

}  // namespace

int ConformanceService::handled() { return handled_count; }
int ConformanceService::cancelled() { return cancelled_count; }

grpc::Status ConformanceService::Echo(grpc::ServerContext* context, const v1::EchoRequest* request,
                                      v1::EchoResponse* response) {
  ++handled_count;
  for (uint32_t i = 0; i < request->times(); ++i)
    response->mutable_payload()->append(request->payload());
  for (const auto& [key, value] : context->client_metadata()) {
    const std::string name(key.data(), key.size());
    if (name.rfind("x-", 0) != 0) continue;
    context->AddInitialMetadata(name, std::string(value.data(), value.size()));
    context->AddTrailingMetadata("trailing-" + name, std::string(value.data(), value.size()));
  }
  return grpc::Status::OK;
}

grpc::Status ConformanceService::Fail(grpc::ServerContext*, const v1::FailRequest* request,
                                      v1::FailResponse*) {
  ++handled_count;
  return grpc::Status(static_cast<grpc::StatusCode>(request->code()), request->message(),
                      request->details());
}

grpc::Status ConformanceService::Wait(grpc::ServerContext* context, const v1::WaitRequest* request,
                                      v1::WaitResponse* response) {
  ++handled_count;
  const auto deadline = context->deadline();
  if (deadline != std::chrono::system_clock::time_point::max()) {
    response->set_deadline_milliseconds(std::chrono::duration_cast<std::chrono::milliseconds>(
                                            deadline - std::chrono::system_clock::now())
                                            .count());
  }
  return Sleep(*context, request->milliseconds()) ? grpc::Status::OK : grpc::Status::CANCELLED;
}

grpc::Status ConformanceService::Exchange(grpc::ServerContext* context,
                                          const v1::ExchangeRequest* request,
                                          v1::ExchangeResponse* response) {
  ++handled_count;
  serving::Call& call = serving::Call::Of(context);
  if (request->fault() == "undeclared") {
    v1::ExchangeResponse unused;
    return call.Attach(UniqueFd(open("/dev/null", O_RDWR | O_CLOEXEC)), unused.mutable_file());
  }
  if (!request->fault().empty()) {
    const bool directory = request->fault() == "directory";
    UniqueFd wrong(open(directory ? "/" : "/dev/null",
                        (directory ? O_RDONLY | O_DIRECTORY : O_WRONLY) | O_CLOEXEC));
    return call.Attach(std::move(wrong), response->mutable_file());
  }
  if (request->memory().slot() == 0) {
    return call.Attach(UniqueFd(open("/dev/null", O_RDWR | O_CLOEXEC)), response->mutable_file());
  }
  absl::StatusOr<UniqueFd> memory = call.Take(request->memory());
  if (!memory.ok()) return grpc::Status(grpc::StatusCode::INVALID_ARGUMENT, "no descriptor");
  return call.Attach(*std::move(memory), response->mutable_file());
}

grpc::Status ConformanceService::Count(grpc::ServerContext* context,
                                       const v1::CountRequest* request,
                                       grpc::ServerWriter<v1::CountResponse>* writer) {
  ++handled_count;
  v1::CountResponse response;
  for (uint32_t i = 1; i <= request->to(); ++i) {
    response.set_value(i);
    if (!writer->Write(response)) {
      ++cancelled_count;
      return grpc::Status::CANCELLED;
    }
    if (!Sleep(*context, request->milliseconds())) return grpc::Status::CANCELLED;
  }
  return grpc::Status::OK;
}

grpc::Status ConformanceService::Sum(grpc::ServerContext* context,
                                     grpc::ServerReader<v1::SumRequest>* reader,
                                     v1::SumResponse* response) {
  ++handled_count;
  v1::SumRequest request;
  while (reader->Read(&request)) {
    response->set_sum(response->sum() + request.value());
    response->set_messages(response->messages() + 1);
    if (request.stop()) return grpc::Status::OK;
  }
  if (context->IsCancelled()) ++cancelled_count;
  return grpc::Status::OK;
}

grpc::Status ConformanceService::Chat(
    grpc::ServerContext* context,
    grpc::ServerReaderWriter<v1::ChatResponse, v1::ChatRequest>* stream) {
  ++handled_count;
  context->AddTrailingMetadata("x-chat", "ended");
  v1::ChatRequest request;
  while (stream->Read(&request)) {
    v1::ChatResponse response;
    response.set_word(request.word());
    response.set_payload(request.payload());
    if (!stream->Write(response)) break;
  }
  // gRPC may tell of a cancellation after the end of the requests that it causes.
  Sleep(*context, 30);
  return grpc::Status::OK;
}

}  // namespace capbroker::testing
