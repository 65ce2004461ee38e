#include "broker/served_family.h"

#include <signal.h>
#include <sys/socket.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "broker/process.h"

namespace capbroker::broker {

ServedFamily::ServedFamily(const BrokerParts& parts, std::unique_ptr<Family> family,
                           std::function<void()> over)
    : parts_(parts), family_(std::move(family)), over_(std::move(over)) {}

ServedFamily::~ServedFamily() {
  if (incarnation_ != nullptr) incarnation_->Abandon();
}

void ServedFamily::Start(std::function<void(absl::Status)> forked) {
  first_forked_ = std::move(forked);
  if (const absl::Status started = StartProcess(/*successor=*/false); !started.ok()) {
    parts_.loop->Post([told = std::exchange(first_forked_, nullptr), started] { told(started); });
    End();
  }
}

absl::Status ServedFamily::StartProcess(bool successor) {
  absl::StatusOr<std::shared_ptr<Incarnation>> started =
      Incarnation::Start(parts_, family_.get(), successor,
                         {.forked = [this](const absl::Status& status) { OnForked(status); },
                          .ended = [this](const ProcessEnd& end) { OnEnded(end); }});
  if (started.ok()) incarnation_ = *std::move(started);
  return started.status();
}

void ServedFamily::OnForked(const absl::Status& status) {
  if (!status.ok()) incarnation_.reset();
  if (first_forked_ != nullptr) {
    std::exchange(first_forked_, nullptr)(status);
    if (!status.ok()) End();
    return;
  }
  if (status.ok()) return;
  ProcessEnd none;
  none.signal = SIGKILL;
  OnEnded(none);
}

void ServedFamily::OnEnded(const ProcessEnd& end) {
  const bool finished =
      end.signal == 0 && end.exit_code == 0 && incarnation_ != nullptr && incarnation_->installed();
  incarnation_.reset();
  if (ending_ || finished || family_->channels().empty()) return End();
  Log(absl::StrCat("service ", family_->service().name, " ",
                   end.signal != 0 ? absl::StrCat("was killed by signal ", end.signal)
                                   : absl::StrCat("exited with ", end.exit_code)));
  if (!crashes_.Count(absl::Now())) {
    Log(absl::StrCat("service ", family_->service().name, " crashes too often: given up"));
    return End();
  }
  ++restarts_;
  if (const absl::Status started = StartProcess(/*successor=*/true); !started.ok()) {
    Log(absl::StrCat("service ", family_->service().name, ": ", started.message()));
    End();
  }
}

void ServedFamily::Revoke(std::function<void(int)> done) {
  const std::vector<uint64_t> revoked = family_->Revoke();
  const int count = static_cast<int>(revoked.size());
  if (incarnation_ == nullptr || revoked.empty()) {
    parts_.loop->Post([done = std::move(done), count] { done(count); });
    return;
  }
  incarnation_->Revoke(revoked, [this, count, done = std::move(done)](const absl::Status& status) {
    // What was not confirmed is enforced.
    if (!status.ok()) End();
    done(count);
  });
}

void ServedFamily::End() {
  if (!std::exchange(ending_, true)) {
    // Holders see the end of the lane at once, whoever else has the service end.
    for (const auto& [id, channel] : family_->channels()) {
      shutdown(channel.service_end.get(), SHUT_RDWR);
    }
  }
  // The record outlives the process, which may still be asking.
  if (incarnation_ != nullptr) return incarnation_->Kill();
  if (over_ != nullptr) parts_.loop->Post(std::exchange(over_, nullptr));
}

}  // namespace capbroker::broker
