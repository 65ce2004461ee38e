#include "tools/fuzz/service_fuzz.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "capbroker/v1/authority.pb.h"
#include "google/protobuf/stubs/logging.h"
#include "serving/fake_call.h"
#include "serving/wire/wire_gate.h"
#include "tests/authority/naive_check.h"
#include "tests/authority/random_messages.h"
#include "transport/descriptor_rights.h"

namespace capbroker::fuzz {
namespace {

using authority::Limits;
using authority::MethodSchema;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

constexpr size_t kHeader = 3;  // the method, and the length of the limits

[[noreturn]] void Fault(const MethodSchema& method, const Message& request, const char* what) {
  std::fprintf(stderr, "%s: %s\n%s\n", method.descriptor().full_name().c_str(), what,
               request.DebugString().c_str());
  std::abort();
}

// Nothing to keep: no snapshot leaves this process, and no channel is narrowed or cloned.
class NoKeeper : public serving::ChannelKeeper {
  absl::Status ChargeUpkeep(absl::string_view, uint64_t) override { return absl::OkStatus(); }
  absl::StatusOr<std::shared_ptr<const Limits>> Narrow(serving::ChannelState&,
                                                       const Limits&) override {
    return absl::UnimplementedError("");
  }
  absl::StatusOr<Cloned> Clone(serving::ChannelState&, const Limits*,
                               std::shared_ptr<void>) override {
    return absl::UnimplementedError("");
  }
  absl::StatusOr<UniqueFd> OpenWire(serving::ChannelState&) override {
    return absl::UnimplementedError("");
  }
  absl::Status RecordBudget() override { return absl::OkStatus(); }
  serving::EventLoop* loop() override { return nullptr; }
  bool successor() const override { return false; }
};

// A unary call as the dispatch table sees it.
class Invocation final : public serving::UnaryInvocation {
 public:
  Invocation(const Message& request, const Message& response, std::shared_ptr<const Limits> limits)
      : request_(request), response_(response.New()), call_(std::move(limits)) {}

  serving::Call* call() override { return &call_; }
  const Message* request() const override { return &request_; }
  Message* response() override { return response_.get(); }
  grpc::ServerContext* sync_context() override { return &context_; }
  grpc::CallbackServerContext* callback_context() override { return nullptr; }
  void Answer(const grpc::Status& status) override { code_ = status.error_code(); }
  void Bind(grpc::ServerUnaryReactor*) override {}

  bool reached_its_method() const { return code_ == grpc::StatusCode::UNIMPLEMENTED; }

 private:
  const Message& request_;
  const std::unique_ptr<Message> response_;
  serving::FakeCall call_;
  grpc::ServerContext context_;
  std::optional<grpc::StatusCode> code_;
};

size_t LengthOf(const Message& message, const FieldDescriptor& field) {
  const Reflection& reflection = *message.GetReflection();
  if (field.is_repeated()) return static_cast<size_t>(reflection.FieldSize(message, &field));
  if (field.cpp_type() != FieldDescriptor::CPPTYPE_STRING) return 0;
  return reflection.GetString(message, &field).size();
}

// Whether the message, at any depth, has something longer than its max_length, or unknown.
bool TooMuch(const Message& message) {
  const Reflection& reflection = *message.GetReflection();
  if (!reflection.GetUnknownFields(message).empty()) return true;
  std::vector<const FieldDescriptor*> fields;
  reflection.ListFields(message, &fields);
  for (const FieldDescriptor* field : fields) {
    const uint32_t longest = field->options().GetExtension(v1::max_length);
    if (longest != 0 && LengthOf(message, *field) > longest) return true;
    if (field->cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE) continue;
    const int count = field->is_repeated() ? reflection.FieldSize(message, field) : 1;
    for (int i = 0; i < count; ++i) {
      if (TooMuch(field->is_repeated() ? reflection.GetRepeatedMessage(message, field, i)
                                       : reflection.GetMessage(message, field))) {
        return true;
      }
    }
  }
  return false;
}

std::unique_ptr<const authority::ServiceSchema> CompileOrDie(const serving::Dispatch& dispatch) {
  auto schema = authority::ServiceSchema::Compile(*dispatch.descriptor());
  if (!schema.ok()) {
    std::fprintf(stderr, "%s\n", schema.status().ToString().c_str());
    std::abort();
  }
  return *std::move(schema);
}

std::vector<MakeDispatch>& Registered() {
  static auto* const registered = new std::vector<MakeDispatch>();
  return *registered;
}

}  // namespace

std::string MakeInput(uint8_t method, absl::string_view limits, absl::string_view request) {
  limits = limits.substr(0, 0xffff);
  std::string input = {static_cast<char>(method), static_cast<char>(limits.size() & 0xff),
                       static_cast<char>(limits.size() >> 8)};
  input.append(limits.data(), limits.size());
  input.append(request.data(), request.size());
  return input;
}

size_t RequestOf(absl::string_view input) {
  if (input.size() < kHeader) return input.size();
  const size_t limits = static_cast<uint8_t>(input[1]) | static_cast<uint8_t>(input[2]) << 8;
  return std::min(kHeader + limits, input.size());
}

ServiceFuzz::ServiceFuzz(std::unique_ptr<serving::Dispatch> dispatch)
    : dispatch_(std::move(dispatch)),
      schema_(CompileOrDie(*dispatch_)),
      nothing_(Limits::Nothing(*schema_)),
      dispatched_(schema_->methods().size()) {}

void ServiceFuzz::Run(absl::string_view input) {
  ++counts_.inputs;
  if (input.size() < kHeader || schema_->methods().empty()) return;
  const MethodSchema& method =
      schema_->methods()[static_cast<uint8_t>(input[0]) % schema_->methods().size()];
  const absl::string_view limits_bytes = input.substr(kHeader, RequestOf(input) - kHeader);
  input.remove_prefix(RequestOf(input));

  // TRUST(worker): limits come from a holder too, who narrows to them.
  std::shared_ptr<const Limits> limits = nothing_;
  if (schema_->limits_type() != nullptr) {
    auto compiled = Limits::CompileBytes(*schema_, limits_bytes);
    if (compiled.ok()) {
      limits = *std::move(compiled);
      ++counts_.limits;
    }
  }

  // TRUST(worker): as LaneCall parses it.
  const std::unique_ptr<Message> request(dispatch_->methods()[method.index()].request()->New());
  if (!request->ParseFromArray(input.data(), static_cast<int>(input.size()))) return;
  ++counts_.parsed;
  CheckNothing(method, *request);
  Serve(method, *request, limits);
}

void ServiceFuzz::CheckNothing(const MethodSchema& method, const Message& request) const {
  if (method.unlimited() || method.descriptor().client_streaming()) return;
  if (!nothing_->Check(method, request)) {
    Fault(method, request, "limits that are not set allow this request");
  }
}

void ServiceFuzz::Serve(const MethodSchema& method, const Message& request,
                        const std::shared_ptr<const Limits>& limits) {
  if (method.request_descriptors() && !transport::CheckDescriptors(request, {}).ok()) return;
  NoKeeper keeper;
  const auto channel = [&] {
    return std::make_shared<serving::ChannelState>(
        1, *schema_, limits,
        schema_->budget_type() == nullptr ? nullptr : authority::Budget::CreateDefault(*schema_),
        /*wire=*/true, &keeper);
  };
  const serving::ChannelState::Admission admission = channel()->Admit(method, request);
  serving::WireGate wire(channel());
  const grpc::StatusCode on_wire = wire.Admit(method.index(), request).status.error_code();
  if (static_cast<int>(on_wire) != static_cast<int>(admission.status.code())) {
    Fault(method, request, "the wire decides differently from the lane");
  }
  if (absl::IsPermissionDenied(admission.status) &&
      wire.AdmitMessage(method.index(), request, /*first=*/false).ok()) {
    Fault(method, request, "refused as a first message, and admitted as a later one");
  }
  if (!admission.status.ok()) return;

  if (TooMuch(request)) Fault(method, request, "longer than declared, or unknown, and admitted");
  if (schema_->limits_type() != nullptr &&
      !testing::NaivelyAllows(*limits->message(), method.descriptor(), request)) {
    std::fprintf(stderr, "limits:\n%s\n", limits->message()->DebugString().c_str());
    Fault(method, request, "the naive checker refuses what was admitted");
  }
  const serving::DispatchMethod& entry = dispatch_->methods()[method.index()];
  if (entry.unary) {
    Invocation invocation(request, *entry.response(), admission.limits);
    entry.invoke(dispatch_->service(), invocation);
    if (!invocation.reached_its_method()) Fault(method, request, "its method was not called");
  }
  ++counts_.dispatched;
  ++dispatched_[static_cast<size_t>(method.index())];
}

std::vector<std::string> ServiceFuzz::Seeds(uint64_t seed, int count) const {
  testing::RandomMessages random(schema_->descriptor(), seed);
  std::vector<std::string> seeds;
  for (int i = 0; i < count && !schema_->methods().empty(); ++i) {
    const MethodSchema& method = schema_->methods()[random.Below(schema_->methods().size())];
    std::string limits;
    if (schema_->limits_type() != nullptr && schema_->limits_type()->field_count() != 0) {
      random.Focus();
      limits = random.Limits()->SerializeAsString();
    }
    seeds.push_back(MakeInput(static_cast<uint8_t>(method.index()), limits,
                              random.Request(method.descriptor())->SerializeAsString()));
  }
  return seeds;
}

bool AddFuzzedService(MakeDispatch make) {
  Registered().push_back(make);
  return true;
}

const std::vector<std::unique_ptr<ServiceFuzz>>& FuzzedServices() {
  static const auto* const services = [] {
    // The parser says what it thinks of each hostile byte.
    google::protobuf::SetLogHandler(nullptr);
    auto* made = new std::vector<std::unique_ptr<ServiceFuzz>>();
    for (const MakeDispatch make : Registered()) {
      made->push_back(std::make_unique<ServiceFuzz>(make()));
    }
    return made;
  }();
  return *services;
}

}  // namespace capbroker::fuzz

// With several services in one program, every input is for each of them.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  for (const auto& service : capbroker::fuzz::FuzzedServices()) {
    service->Run(absl::string_view(reinterpret_cast<const char*>(data), size));
  }
  return 0;
}
