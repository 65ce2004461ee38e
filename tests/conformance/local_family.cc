#include "tests/conformance/local_family.h"

#include <google/protobuf/stubs/logging.h>

#include <utility>

#include "absl/base/internal/raw_logging.h"
#include "capbroker/v1/capability.dispatch.h"
#include "serving/channel/capability_service.h"
#include "transport/lane_socket.h"

namespace capbroker::testing {
namespace {

template <typename T>
T Must(absl::StatusOr<T> result) {
  ABSL_RAW_CHECK(result.ok(), result.status().ToString().c_str());
  return *std::move(result);
}

}  // namespace

LocalFamily::LocalFamily(std::unique_ptr<serving::Dispatch> service,
                         const google::protobuf::Message& limits,
                         serving::LaneServerOptions options, bool wire)
    : service_(std::move(service)),
      capability_(
          ::capbroker::v1::CapbrokerMakeDispatch(std::make_unique<serving::CapabilityService>())),
      schema_(Must(authority::ServiceSchema::Compile(*service_->descriptor()))),
      loop_(Must(serving::EventLoop::Create())),
      server_(std::make_unique<serving::LaneServer>(loop_.get(), options)) {
  google::protobuf::SetLogHandler(nullptr);  // as in a service process
  supervisor_.on_CommitLimits = [this](auto*, const auto& request, auto* response) {
    ++commits_;
    *response->mutable_limits() = request.limits();
    return grpc::Status::OK;
  };
  const google::protobuf::Any first = Must(authority::Limits::Compile(*schema_, limits))->ToAny();
  supervisor_.on_RegisterClone = [this, first](auto*, const auto& request, auto* response) {
    response->set_channel(next_channel_++);
    *response->mutable_limits() = request.has_limits() ? request.limits() : first;
    return grpc::Status::OK;
  };
  supervisor_.on_ForgetChannel = [](auto*, const auto&, auto*) { return grpc::Status::OK; };
  supervisor_.on_RecordUsage = [](auto*, const auto&, auto*) { return grpc::Status::OK; };
  family_ = std::make_unique<serving::FamilyServer>(loop_.get(), server_.get(), service_.get(),
                                                    capability_.get(), schema_.get(), &supervisor_);
  transport::LanePair lane = Must(transport::MakeLane(transport::ClientDescriptors::kAccepted));
  lane_ = std::move(lane.client);
  ::capbroker::v1::ChannelRecord record;
  record.set_channel(1);
  *record.mutable_limits() = first;
  absl::Status added = family_->SetAccount({}, nullptr);
  if (added.ok()) added = family_->Add(record, std::move(lane.service), wire, false);
  ABSL_RAW_CHECK(added.ok(), added.ToString().c_str());
  thread_ = std::thread([this] { server_->Run(); });
}

LocalFamily::~LocalFamily() {
  loop_->Stop();
  thread_.join();
  // Ends the calls in flight, and waits for their handlers while all that they use is there.
  family_->Close();
  server_.reset();
}

}  // namespace capbroker::testing
