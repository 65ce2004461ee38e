#include "serving/upstream_channel.h"

#include <algorithm>
#include <utility>

#include "absl/time/clock.h"
#include "base/status_macros.h"
#include "capbroker/v1/capability.capbroker.h"
#include "transport/call_descriptors.h"
#include "transport/grpc_status.h"

namespace capbroker::serving {
namespace {

// How long others may have to wait for one that clones.
constexpr absl::Duration kMostTime = absl::Seconds(5);

}  // namespace

UpstreamChannel::UpstreamChannel(UniqueFd lane, Original original)
    : ends_original_(original == Original::kEnded),
      original_(std::make_shared<Channel>(std::move(lane))) {}

absl::StatusOr<std::shared_ptr<Channel>> UpstreamChannel::Get(absl::Time deadline) {
  absl::MutexLock lock(&mutex_);
  if (clone_ != nullptr) return clone_;
  const absl::Time end = absl::Now() + kMostTime;
  grpc::ClientContext context;
  context.set_deadline(absl::ToChronoTime(std::min(deadline, end)));
  CallDescriptors descriptors(&context);
  v1::CloneResponse response;
  const absl::Status cloned = FromGrpcStatus(
      NewStub<v1::Capability>(original_)->Clone(&context, v1::CloneRequest(), &response));
  if (absl::IsDeadlineExceeded(cloned) && end < deadline) {
    return absl::UnavailableError("the channel upstream does not answer");
  }
  CB_RETURN_IF_ERROR(cloned);
  CB_ASSIGN_OR_RETURN(UniqueFd lane, descriptors.Take(response.channel()));
  auto clone = std::make_shared<Channel>(std::move(lane));
  if (ends_original_) {
    grpc::ClientContext ending;
    ending.set_deadline(absl::ToChronoTime(std::min(deadline, end)));
    v1::CloseResponse closed;
    CB_RETURN_IF_ERROR(FromGrpcStatus(
        NewStub<v1::Capability>(original_)->Close(&ending, v1::CloseRequest(), &closed)));
  }
  clone_ = std::move(clone);
  original_.reset();
  return clone_;
}

}  // namespace capbroker::serving
