#include "broker/served_family.h"

#include <signal.h>
#include <sys/socket.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/status_macros.h"
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
  family_->EndWithProcess();
  if (ending_ || finished || family_->open() == 0) return End();
  const std::string how = end.signal != 0 ? absl::StrCat("was killed by signal ", end.signal)
                                          : absl::StrCat("exited with ", end.exit_code);
  Log(absl::StrCat("service ", family_->service().name, " ", how));
  v1::AuditEvent crashed;
  crashed.set_kind(v1::AuditEvent::CRASHED);
  crashed.set_text(how);
  parts_.audit->Record(*family_, 0, std::move(crashed));
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

void ServedFamily::Grant(uint64_t channel, uint64_t worker, const std::string& grant) {
  family_->SetHolder(channel, std::make_shared<const Holder>(Holder{worker, grant}));
  parts_.audit->RecordLimits(*family_, channel, v1::AuditEvent::GRANTED);
}

absl::Status ServedFamily::Revoke(uint64_t channel,
                                  std::function<void(const v1::BrokerRevokeResponse&)> done) {
  CB_ASSIGN_OR_RETURN(const std::vector<uint64_t> revoked, family_->Revoke(channel));
  for (const uint64_t number : revoked) {
    v1::AuditEvent event;
    event.set_kind(v1::AuditEvent::REVOKED);
    parts_.audit->Record(*family_, number, std::move(event));
  }
  v1::BrokerRevokeResponse response;
  response.set_channels(static_cast<uint32_t>(revoked.size()));
  if (incarnation_ == nullptr || revoked.empty()) {
    parts_.loop->Post([done = std::move(done), response] { done(response); });
    return absl::OkStatus();
  }
  incarnation_->Revoke(revoked, [this, response, done = std::move(done)](
                                    const absl::StatusOr<v1::RevokeResponse>& confirmed) mutable {
    // What was not confirmed is enforced.
    if (!confirmed.ok()) End();
    const v1::RevokeResponse answer = confirmed.value_or(v1::RevokeResponse());
    for (const v1::RevokeResponse::Delivered& delivered : answer.delivered()) {
      v1::BrokerRevokeResponse::NotTakenBack* left = response.add_not_taken_back();
      left->set_service(family_->service().name);
      left->set_family(family_->id());
      left->set_channel(delivered.channel());
      left->set_descriptors(delivered.descriptors());
    }
    done(response);
  });
  return absl::OkStatus();
}

void ServedFamily::End() {
  if (!std::exchange(ending_, true)) {
    // Holders see the end of the lane at once, whoever else has the service end.
    for (const auto& [id, channel] : family_->channels()) {
      if (channel.closed) continue;
      shutdown(channel.service_end.get(), SHUT_RDWR);
      v1::AuditEvent closed;
      closed.set_kind(v1::AuditEvent::CLOSED);
      parts_.audit->Record(*family_, id, std::move(closed));
    }
  }
  // The record outlives the process, which may still be asking.
  if (incarnation_ != nullptr) return incarnation_->Kill();
  if (over_ != nullptr) parts_.loop->Post(std::exchange(over_, nullptr));
}

}  // namespace capbroker::broker
