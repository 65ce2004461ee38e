#include "tests/authority/family_under_test.h"

#include <string>
#include <utility>

#include "absl/base/internal/raw_logging.h"
#include "capbroker/v1/capability.pb.h"
#include "serving/channel/channel_state.h"
#include "transport/grpc_status.h"
#include "transport/lane_socket.h"

namespace capbroker::testing {
namespace {

using ::google::protobuf::Any;
using ::google::protobuf::Message;

template <typename T>
T Must(absl::StatusOr<T> result) {
  ABSL_RAW_CHECK(result.ok(), result.status().ToString().c_str());
  return *std::move(result);
}

// Methods are asked for through the channel's state: nothing is called.
class NothingToCall final : public serving::Dispatch {
 public:
  explicit NothingToCall(const google::protobuf::ServiceDescriptor* service) : service_(service) {}
  const google::protobuf::ServiceDescriptor* descriptor() const override { return service_; }
  absl::Span<const serving::DispatchMethod> methods() const override { return {}; }
  void* service() override { return nullptr; }
  bool quick() const override { return true; }
  serving::WireServices MakeWire(serving::WireGate*,
                                 const std::shared_ptr<grpc::Channel>*) override {
    return {};
  }

 private:
  const google::protobuf::ServiceDescriptor* const service_;
};

Any Pack(const Message& message) {
  Any any;
  any.PackFrom(message);
  return any;
}

transport::LanePair NewLane() {
  return Must(transport::MakeLane(transport::ClientDescriptors::kRefused));
}

absl::Status Died() { return absl::UnavailableError("the process has crashed"); }

}  // namespace

FamilyUnderTest::FamilyUnderTest(const authority::ServiceSchema& schema, const Message& limits,
                                 const Message& budget)
    : schema_(schema),
      definition_{.name = schema.name(), .descriptor = &schema.descriptor()},
      now_(std::make_shared<absl::Duration>(absl::Hours(1))),
      service_(std::make_unique<NothingToCall>(&schema.descriptor())),
      capability_(std::make_unique<NothingToCall>(
          v1::CloneRequest::descriptor()->file()->FindServiceByName("Capability"))) {
  const Any packed = Pack(budget);
  record_ = Must(broker::Family::Create(1, definition_, schema_, Pack(limits), &packed,
                                        /*wire=*/false, UniqueFd()));
  AnswerLikeABroker();
  StartProcess(/*successor=*/false);
}

FamilyUnderTest::~FamilyUnderTest() { EndProcess(); }

void FamilyUnderTest::AnswerLikeABroker() {
  supervisor_.on_CommitLimits = [this](auto*, const auto& request, auto* response) {
    return ToGrpcStatus(Recorded([&] {
      absl::StatusOr<Any> committed = record_->CommitLimits(request.channel(), request.limits());
      if (committed.ok()) *response->mutable_limits() = *std::move(committed);
      return committed.status();
    }));
  };
  supervisor_.on_RegisterClone = [this](auto*, const auto& request, auto* response) {
    return ToGrpcStatus(Recorded([&] {
      const auto clone = record_->RegisterClone(
          request.parent(), request.has_limits() ? &request.limits() : nullptr, UniqueFd());
      if (!clone.ok()) return clone.status();
      response->set_channel((*clone)->id);
      *response->mutable_limits() = (*clone)->limits->ToAny();
      return absl::OkStatus();
    }));
  };
  supervisor_.on_ForgetChannel = [this](auto*, const auto& request, auto*) {
    return ToGrpcStatus(Recorded([&] { return record_->Forget(request.channel()); }));
  };
  supervisor_.on_RecordUsage = [this](auto*, const auto& request, auto*) {
    return ToGrpcStatus(Recorded([&] {
      record_->RecordUsage(request.usage());
      return absl::OkStatus();
    }));
  };
}

absl::Status FamilyUnderTest::Recorded(const std::function<absl::Status()>& record) {
  if (dead_) return Died();
  if (crash_ == Crash::kBeforeItIsRecorded) {
    dead_ = true;
    return Died();
  }
  const absl::Status recorded = record();
  if (crash_ != Crash::kAfterItIsRecorded) return recorded;
  dead_ = true;
  return Died();
}

void FamilyUnderTest::StartProcess(bool successor) {
  dead_ = false;
  crash_ = Crash::kNone;
  loop_ = Must(serving::EventLoop::Create());
  // Without threads: this one runs the loop, when there is something to do.
  server_ = std::make_unique<serving::LaneServer>(
      loop_.get(), serving::LaneServerOptions{.max_threads = 1, .grow = false});
  process_ = std::make_unique<serving::FamilyServer>(loop_.get(), server_.get(), service_.get(),
                                                     capability_.get(), &schema_, &supervisor_,
                                                     [now = now_] { return *now; });
  const uint64_t last = record_->last_channel();
  for (uint64_t after = 0;;) {
    const broker::Family::Installation batch = record_->Install(after, last, successor, {});
    absl::Status installed = process_->SetAccount(
        batch.request.budget(), record_->usage().has_value() ? &*record_->usage() : nullptr);
    for (const v1::ChannelRecord& channel : batch.request.channels()) {
      transport::LanePair lane = NewLane();
      // A clone whose holder was never told of it has none.
      if (!successor || held_.contains(channel.channel())) {
        held_[channel.channel()] = std::move(lane.client);
      }
      lane.client.Reset();
      installed.Update(process_->Add(channel, std::move(lane.service), /*wire=*/false, successor));
    }
    ABSL_RAW_CHECK(installed.ok(), installed.ToString().c_str());
    if (!batch.request.more()) break;
    after = batch.last;
  }
  RunLoop();
}

void FamilyUnderTest::EndProcess() {
  dead_ = true;
  process_.reset();
  server_.reset();
  loop_.reset();
}

void FamilyUnderTest::RunLoop() {
  while (!loop_->stopped() && loop_->HasWork()) loop_->RunOnce();
}

void FamilyUnderTest::CrashAndRestart() {
  EndProcess();
  StartProcess(/*successor=*/true);
}

std::shared_ptr<serving::ChannelState> FamilyUnderTest::State(uint64_t channel) const {
  return process_->Find(channel);
}

absl::Status FamilyUnderTest::Narrow(uint64_t channel, const Message& limits, Crash crash) {
  const auto state = State(channel);
  if (state == nullptr) return absl::NotFoundError("no such channel");
  crash_ = crash;
  const auto requested = Must(authority::Limits::Compile(schema_, limits));
  const absl::Status narrowed = process_->Narrow(*state, *requested).status();
  if (crash != Crash::kNone) CrashAndRestart();
  return narrowed;
}

absl::StatusOr<uint64_t> FamilyUnderTest::Clone(uint64_t channel, const Message* limits,
                                                Crash crash) {
  const auto state = State(channel);
  if (state == nullptr) return absl::NotFoundError("no such channel");
  crash_ = crash;
  std::shared_ptr<const authority::Limits> requested;
  if (limits != nullptr) requested = Must(authority::Limits::Compile(schema_, *limits));
  absl::StatusOr<serving::ChannelKeeper::Cloned> clone =
      process_->Clone(*state, requested.get(), nullptr);
  if (clone.ok()) held_[clone->number] = std::move(clone->client_end);
  if (crash != Crash::kNone) CrashAndRestart();
  if (!clone.ok()) return clone.status();
  return clone->number;
}

FamilyUnderTest::Answer FamilyUnderTest::Ask(uint64_t channel,
                                             const authority::MethodSchema& method,
                                             const Message& request, uint64_t response_bytes,
                                             uint64_t descriptors, Crash crash) {
  const auto state = State(channel);
  if (state == nullptr) return {absl::NotFoundError("no such channel"), {}};
  crash_ = crash;
  Answer answer;
  answer.admitted = state->Admit(method, request).status;
  answer.responded = answer.admitted.ok()
                         ? state->AdmitResponse(method, response_bytes, descriptors)
                         : answer.admitted;
  if (crash != Crash::kNone) CrashAndRestart();
  return answer;
}

bool FamilyUnderTest::Close(uint64_t channel) {
  crash_ = Crash::kNone;
  held_.erase(channel);
  RunLoop();
  return loop_->stopped();
}

void FamilyUnderTest::Revoke(uint64_t channel, Crash crash) {
  const absl::StatusOr<std::vector<uint64_t>> revoked = record_->Revoke(channel);
  if (!revoked.ok()) return;
  if (crash == Crash::kBeforeItIsRecorded) return CrashAndRestart();
  for (const uint64_t each : *revoked) (void)process_->Revoke(each);
  if (crash == Crash::kAfterItIsRecorded) CrashAndRestart();
}

}  // namespace capbroker::testing
