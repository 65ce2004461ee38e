#include "broker/families/served_family.h"

#include <sys/socket.h>

#include <map>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/status_macros.h"
#include "broker/families/spare_services.h"
#include "broker/zygote/process.h"
#include "serving/succession.h"

namespace capbroker::broker {
namespace {

// Of one family in the answer to a revocation; beyond that a sum is told.
constexpr int kMostTold = 64;

}  // namespace

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
  const Incarnation::Events events = {
      .forked = [this](const absl::Status& status) { OnForked(status); },
      .ended = [this](const ChildEnd& end) { OnEnded(end); }};
  incarnation_ = parts_.spares->Employ(family_.get(), successor, events);
  if (incarnation_ != nullptr) return absl::OkStatus();
  absl::StatusOr<std::shared_ptr<Incarnation>> started =
      Incarnation::Start(parts_, family_.get(), successor, events);
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
  OnEnded(UnknownEnd());
}

void ServedFamily::OnEnded(const ChildEnd& end) {
  const bool finished =
      end.signal == 0 && end.exit_code == 0 && incarnation_ != nullptr && incarnation_->installed();
  incarnation_.reset();
  family_->EndWithProcess();
  if (!end.violation.empty()) {
    v1::AuditEvent violation;
    violation.set_kind(v1::AuditEvent::VIOLATION);
    violation.set_text(end.violation);
    parts_.audit->Record(*family_, 0, std::move(violation));
  }
  if (ending_ || finished || family_->open() == 0) return End();
  const bool gave_way = end.signal == 0 && end.exit_code == serving::kGaveWay;
  const std::string how = !end.violation.empty() ? end.violation
                          : gave_way             ? "gave way: a file of its own was replaced"
                          : end.signal != 0      ? absl::StrCat("was killed by signal ", end.signal)
                                                 : absl::StrCat("exited with ", end.exit_code);
  Log(absl::StrCat("service ", family_->service().name, " ", how));
  process_lost_ = true;
  v1::AuditEvent crashed;
  crashed.set_kind(v1::AuditEvent::CRASHED);
  crashed.set_text(how);
  parts_.audit->Record(*family_, 0, std::move(crashed));
  // TRUST(worker): who says so too often has crashed.
  const bool goes_on = (gave_way && gave_way_.Count(absl::Now())) || crashes_.Count(absl::Now());
  if (!goes_on) {
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
  if (revoked.empty() || incarnation_ == nullptr) {
    parts_.loop->Post([done = std::move(done),
                       told = Tell(channel, revoked, v1::RevokeResponse())] { done(told); });
    return absl::OkStatus();
  }
  incarnation_->Revoke(revoked, [this, channel, revoked, done = std::move(done)](
                                    const absl::StatusOr<v1::RevokeResponse>& confirmed) {
    // What was not confirmed is enforced.
    if (!confirmed.ok()) End();
    done(Tell(channel, revoked, confirmed));
  });
  return absl::OkStatus();
}

// TRUST(worker): what the process says counts for the channels that were asked about, each once.
v1::BrokerRevokeResponse ServedFamily::Tell(uint64_t channel, const std::vector<uint64_t>& revoked,
                                            const absl::StatusOr<v1::RevokeResponse>& confirmed) {
  v1::BrokerRevokeResponse response;
  response.set_channels(static_cast<uint32_t>(revoked.size()));
  if (process_lost_ || !confirmed.ok()) response.add_incomplete(family_->service().name);
  std::map<uint64_t, Delivered> left = family_->LeftBehind(channel);
  std::set<uint64_t> asked(revoked.begin(), revoked.end());
  const v1::RevokeResponse answer = confirmed.value_or(v1::RevokeResponse());
  for (const v1::RevokeResponse::Delivered& said : answer.delivered()) {
    if (asked.erase(said.channel()) == 0) continue;
    RecordOutcome(said.channel(), v1::AuditEvent::SHUT_DOWN, "", said.shut_down());
    response.set_shut_down(SaturatingAdd(response.shut_down(), said.shut_down()));
    // Closed meanwhile: then its process has told that already, and it is in what is left.
    const auto record = family_->channels().find(said.channel());
    if (record == family_->channels().end() || record->second.closed) continue;
    left[said.channel()].Add(*family_->service().descriptor, said.deliveries());
  }
  for (const auto& [number, delivered] : left) AddNotTakenBack(number, delivered, response);
  return response;
}

void ServedFamily::AddNotTakenBack(uint64_t channel, const Delivered& delivered,
                                   v1::BrokerRevokeResponse& response) {
  for (const auto& [source, descriptors] : delivered.counts()) {
    RecordOutcome(channel, v1::AuditEvent::NOT_TAKEN_BACK, source.first, descriptors);
    // The last entry is the sum of what is too much to tell.
    const bool full = response.not_taken_back_size() >= kMostTold;
    const bool more = full && response.not_taken_back_size() > kMostTold;
    v1::BrokerRevokeResponse::NotTakenBack* const told =
        more ? response.mutable_not_taken_back(kMostTold) : response.add_not_taken_back();
    told->set_service(family_->service().name);
    told->set_family(family_->id());
    told->set_descriptors(SaturatingAdd(told->descriptors(), descriptors));
    if (full) continue;
    told->set_channel(channel);
    told->set_method(source.first);
    told->set_field(source.second);
  }
}

void ServedFamily::RecordOutcome(uint64_t channel, v1::AuditEvent::Kind kind,
                                 const std::string& method, uint64_t count) {
  if (count == 0) return;
  v1::AuditEvent event;
  event.set_kind(kind);
  event.set_method(method);
  event.set_count(count);
  parts_.audit->Record(*family_, channel, std::move(event));
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
