#include "serving/interposition/endpoint.h"

#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/support/channel_arguments.h>

#include <algorithm>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "base/status_macros.h"
#include "transport/packet.h"

namespace capbroker::serving {
namespace {

// Of a status that comes from another machine.
constexpr size_t kMaxMessage = 1024;
constexpr size_t kMaxDetails = 4096;

class LaneEndpoint final : public Endpoint {
 public:
  LaneEndpoint(std::shared_ptr<UpstreamChannel> channel, MakeStub make_stub)
      : channel_(std::move(channel)), make_stub_(make_stub) {}

  absl::StatusOr<std::shared_ptr<void>> Stub(absl::Time deadline) override {
    CB_ASSIGN_OR_RETURN(std::shared_ptr<Channel> channel, channel_->Get(deadline));
    absl::MutexLock lock(&mutex_);
    if (stub_ == nullptr) stub_ = make_stub_(std::move(channel), nullptr);
    return stub_;
  }

  absl::StatusOr<std::shared_ptr<grpc::Channel>> Grpc(absl::Time deadline) override {
    CB_ASSIGN_OR_RETURN(const std::shared_ptr<Channel> channel, channel_->Get(deadline));
    return channel->Grpc();
  }

  bool CarriesDescriptors() const override { return true; }
  bool Sends(absl::string_view) const override { return true; }
  grpc::Status Tell(const grpc::Status& status) const override { return status; }

 private:
  const std::shared_ptr<UpstreamChannel> channel_;
  const MakeStub make_stub_;
  absl::Mutex mutex_;
  std::shared_ptr<void> stub_ ABSL_GUARDED_BY(mutex_);
};

class RemoteEndpoint final : public Endpoint {
 public:
  RemoteEndpoint(v1::RemoteServer server, size_t max_message_bytes, MakeStub make_stub)
      : server_(std::move(server)), max_message_bytes_(max_message_bytes), make_stub_(make_stub) {}

  absl::StatusOr<std::shared_ptr<void>> Stub(absl::Time deadline) override {
    CB_RETURN_IF_ERROR(Grpc(deadline).status());
    absl::MutexLock lock(&mutex_);
    if (stub_ == nullptr) stub_ = make_stub_(nullptr, channel_);
    return stub_;
  }

  absl::StatusOr<std::shared_ptr<grpc::Channel>> Grpc(absl::Time) override {
    absl::MutexLock lock(&mutex_);
    if (channel_ != nullptr) return channel_;
    // INVARIANT(fail-closed): gRPC would trust what the system trusts.
    if (server_.root_certificates().empty()) {
      return absl::FailedPreconditionError("remote server: no root certificates");
    }
    absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
    grpc::SslCredentialsOptions credentials;
    credentials.pem_root_certs = server_.root_certificates();
    credentials.pem_private_key = server_.client_key();
    credentials.pem_cert_chain = server_.client_certificate();
    grpc::ChannelArguments arguments;
    arguments.SetMaxReceiveMessageSize(static_cast<int>(max_message_bytes_));
    arguments.SetInt(GRPC_ARG_MAX_METADATA_SIZE, static_cast<int>(transport::kMaxMetadataSize));
    // Where the calls go is what the application wrote, not what its environment says.
    arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
    arguments.SetServiceConfigJSON("{}");
    arguments.SetInt(GRPC_ARG_SERVICE_CONFIG_DISABLE_RESOLUTION, 1);
    if (!server_.server_name().empty()) arguments.SetSslTargetNameOverride(server_.server_name());
    channel_ =
        grpc::CreateCustomChannel(server_.target(), grpc::SslCredentials(credentials), arguments);
    return channel_;
  }

  bool CarriesDescriptors() const override { return false; }

  bool Sends(absl::string_view key) const override {
    return std::find(server_.metadata_keys().begin(), server_.metadata_keys().end(), key) !=
           server_.metadata_keys().end();
  }

  grpc::Status Tell(const grpc::Status& status) const override {
    if (status.ok()) return status;
    const int code = status.error_code();
    const bool known = code > grpc::StatusCode::OK && code <= grpc::StatusCode::UNAUTHENTICATED;
    return grpc::Status(
        known ? status.error_code() : grpc::StatusCode::UNKNOWN,
        absl::StrCat("remote server: ", status.error_message().substr(0, kMaxMessage)),
        status.error_details().size() <= kMaxDetails ? status.error_details() : "");
  }

 private:
  const v1::RemoteServer server_;
  const size_t max_message_bytes_;
  const MakeStub make_stub_;
  absl::Mutex mutex_;
  std::shared_ptr<grpc::Channel> channel_ ABSL_GUARDED_BY(mutex_);
  std::shared_ptr<void> stub_ ABSL_GUARDED_BY(mutex_);
};

class FailingEndpoint final : public Endpoint {
 public:
  explicit FailingEndpoint(absl::Status status) : status_(std::move(status)) {}
  absl::StatusOr<std::shared_ptr<void>> Stub(absl::Time) override { return status_; }
  absl::StatusOr<std::shared_ptr<grpc::Channel>> Grpc(absl::Time) override { return status_; }
  bool CarriesDescriptors() const override { return true; }
  bool Sends(absl::string_view) const override { return false; }
  grpc::Status Tell(const grpc::Status& status) const override { return status; }

 private:
  const absl::Status status_;
};

}  // namespace

std::shared_ptr<Endpoint> MakeLaneEndpoint(std::shared_ptr<UpstreamChannel> channel,
                                           Endpoint::MakeStub make_stub) {
  return std::make_shared<LaneEndpoint>(std::move(channel), make_stub);
}

std::shared_ptr<Endpoint> MakeRemoteEndpoint(const v1::RemoteServer& server,
                                             size_t max_message_bytes,
                                             Endpoint::MakeStub make_stub) {
  return std::make_shared<RemoteEndpoint>(server, max_message_bytes, make_stub);
}

std::shared_ptr<Endpoint> MakeFailingEndpoint(const absl::Status& status) {
  return std::make_shared<FailingEndpoint>(status);
}

}  // namespace capbroker::serving
