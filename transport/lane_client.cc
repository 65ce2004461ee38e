#include "transport/lane_client.h"

#include <memory>
#include <utility>

#include "transport/lane_core.h"

namespace capbroker::transport {

LaneClient::LaneClient(UniqueFd lane, size_t max_message_size, int64_t post_within_ns)
    : core_(std::make_shared<LaneCore>(std::move(lane), max_message_size, post_within_ns)) {}

LaneClient::~LaneClient() {
  core_->Close();
  core_->JoinCallbackThreads();
}

void LaneClient::Call(const LaneRequest& request, absl::FunctionRef<bool()> cancelled,
                      absl::FunctionRef<void(Reply&)> consume) {
  core_->Call(request, cancelled, consume);
}

void LaneClient::StartCall(const LaneRequest& request, std::function<bool()> cancelled,
                           std::function<void(Reply&)> done) {
  // `done` may have run, and have destroyed this client, before that comes back.
  const std::shared_ptr<LaneCore> core = core_;
  core->StartCall(request, std::move(cancelled), std::move(done));
}

void LaneClient::Close() { core_->Close(); }
absl::Status LaneClient::CompleteIn(std::shared_ptr<CallbackLoop> loop) {
  return core_->CompleteIn(std::move(loop));
}
void LaneClient::UseExternalPump() { core_->UseExternalPump(); }
absl::StatusOr<bool> LaneClient::Pump() { return core_->Pump(); }
FdRef LaneClient::fd() const { return core_->fd(); }
uint64_t LaneClient::posted_calls() const { return core_->posted_calls(); }
absl::StatusOr<UniqueFd> LaneClient::Release() { return core_->Release(); }

}  // namespace capbroker::transport
