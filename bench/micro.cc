// What the parts of a call cost, one by one: `./bazelw run -c opt //bench:micro`. How the check
// grows with its limits is in authority/limits_benchmark.cc.
#include <grpcpp/server_context.h>

#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "authority/limits.h"
#include "authority/schema.h"
#include "bench/checked_service.h"
#include "bench/echo.dispatch.h"
#include "bench/echo_service.h"
#include "benchmark/benchmark.h"
#include "serving/dispatch.h"
#include "serving/lane/method_table.h"
#include "transport/packet.h"

namespace capbroker::bench {
namespace {

constexpr char kPing[] = "/capbroker.bench.v1.Echo/Ping";

// The check in front of a call: ten fields, each bounded by a limit.
void BM_CheckTenFields(benchmark::State& state) {
  const auto schema = authority::ServiceSchema::Compile(
                          *v1::AskRequest::descriptor()->file()->FindServiceByName("Checked"))
                          .value();
  const auto limits = authority::Limits::Compile(*schema, LimitsOfChecked()).value();
  const authority::MethodSchema& method = *schema->FindMethod("Ask");
  const v1::AskRequest request = AllowedQuestion();
  if (limits->Check(method, request).has_value()) state.SkipWithError("denied");
  for (auto _ : state) benchmark::DoNotOptimize(limits->Check(method, request));
}
BENCHMARK(BM_CheckTenFields);

// The packet of a small request.
std::string Packet() {
  const std::string message = RequestOf().SerializeAsString();
  transport::PacketHeader header = {};
  header.magic = transport::kPacketMagic;
  header.type = transport::PacketType::kRequest;
  header.call = 1;
  header.method = transport::MethodId(kPing);
  header.message_size = static_cast<uint32_t>(message.size());
  std::string packet(sizeof header, '\0');
  std::memcpy(packet.data(), &header, sizeof header);
  return packet + message;
}

// Every field of a packet's header.
void BM_ParsePacket(benchmark::State& state) {
  const std::string packet = Packet();
  for (auto _ : state) {
    const absl::StatusOr<transport::PacketView> view =
        transport::ParsePacket(packet, 0, transport::PacketDirection::kToService);
    if (!view.ok()) state.SkipWithError("refused");
    benchmark::DoNotOptimize(view);
  }
}
BENCHMARK(BM_ParsePacket);

// The message of a packet, by protobuf.
void BM_ParseMessage(benchmark::State& state) {
  const std::string message = RequestOf().SerializeAsString();
  v1::PingRequest request;
  for (auto _ : state) benchmark::DoNotOptimize(request.ParseFromString(message));
}
BENCHMARK(BM_ParseMessage);

void BM_SerializeMessage(benchmark::State& state) {
  const v1::PingRequest request = RequestOf();
  std::string message(request.ByteSizeLong(), '\0');
  for (auto _ : state) {
    benchmark::DoNotOptimize(
        request.SerializeToArray(message.data(), static_cast<int>(message.size())));
  }
}
BENCHMARK(BM_SerializeMessage);

// A call without a lane.
class Invocation : public serving::UnaryInvocation {
 public:
  serving::Call* call() override { return nullptr; }
  const google::protobuf::Message* request() const override { return &request_; }
  google::protobuf::Message* response() override { return &response_; }
  grpc::ServerContext* sync_context() override { return &context_.emplace(); }
  grpc::CallbackServerContext* callback_context() override { return nullptr; }
  void Answer(const grpc::Status& status) override { answered_ = status.ok(); }
  void Bind(grpc::ServerUnaryReactor*) override {}
  bool answered() const { return answered_; }

 private:
  const v1::PingRequest request_ = RequestOf();
  v1::PingResponse response_;
  std::optional<grpc::ServerContext> context_;
  bool answered_ = false;
};

// From a packet's method to the handler's answer: the look-up, gRPC's context, the call.
void BM_DispatchMethod(benchmark::State& state) {
  const std::unique_ptr<serving::Dispatch> dispatch =
      CapbrokerMakeDispatch(std::make_unique<EchoService>());
  const auto table = serving::MethodTable::Build({dispatch.get()}, nullptr);
  const uint64_t id = transport::MethodId(kPing);
  Invocation invocation;
  for (auto _ : state) {
    const serving::ServedMethod* method = table->Find(id);
    method->method->invoke(dispatch->service(), invocation);
  }
  if (!invocation.answered()) state.SkipWithError("not answered");
}
BENCHMARK(BM_DispatchMethod);

}  // namespace
}  // namespace capbroker::bench

BENCHMARK_MAIN();
