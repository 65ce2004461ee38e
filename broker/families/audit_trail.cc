#include "broker/families/audit_trail.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace capbroker::broker {
namespace {

using v1::AuditEvent;

// What waits for the application, in all and of one source.
constexpr size_t kMostBytes = 8u << 20;
constexpr size_t kMostSourceBytes = 1u << 20;
constexpr size_t kMostLeftOut = 512;
// With the last event and what was left out beside it, within the broker's messages.
constexpr size_t kBatchBytes = 512u << 10;
constexpr size_t kMostTextBytes = 1024;
constexpr size_t kMostEntryBytes = 5 * 4096;
constexpr int kMostValues = 8;
constexpr absl::Duration kLongestWait = absl::Seconds(10);

void Cut(std::string& text, size_t most) {
  if (text.size() <= most) return;
  text.resize(most);
  text += "...";
}

// TRUST(worker): a service process that was taken over writes what it likes.
bool IsPrintable(const std::string& text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c >= ' ' && c <= '~'; });
}

void Clean(std::string& text, size_t most) {
  if (!IsPrintable(text)) text = absl::CEscape(text);
  Cut(text, most);
}

bool MayReport(AuditEvent::Kind kind) {
  switch (kind) {
    case AuditEvent::ALLOWED:
    case AuditEvent::DENIED:
    case AuditEvent::DELIVERED:
    case AuditEvent::LEARNED:
    case AuditEvent::LEFT_OUT:
      return true;
    default:
      return false;
  }
}

// What a service process may say of an event, and no more.
AuditEvent Reported(const AuditEvent& said) {
  AuditEvent event;
  event.set_kind(said.kind());
  event.set_method(said.method());
  Clean(*event.mutable_method(), kMostTextBytes);
  event.set_reason(said.reason());
  event.set_count(said.count());
  if (MayReport(said.left_out())) event.set_left_out(said.left_out());
  for (int i = 0; i < std::min(said.values_size(), kMostValues); ++i) {
    AuditEvent::Value* const value = event.add_values();
    *value = said.values(i);
    Clean(*value->mutable_field(), kMostTextBytes);
    Clean(*value->mutable_value(), kMostEntryBytes);
  }
  return event;
}

}  // namespace

absl::Status AuditTrail::Start(const v1::AuditSettings& settings) {
  if (settings_) return absl::FailedPreconditionError("audit: it was started already");
  settings_ = settings;
  return absl::OkStatus();
}

// INVARIANT(audit-from-the-record)
void AuditTrail::Stamp(const Family& family, uint64_t channel, AuditEvent& event) {
  event.set_service(family.service().name);
  event.set_family(family.id());
  event.set_channel(channel);
  if (const std::shared_ptr<const Holder> holder = family.HolderOf(channel)) {
    event.set_worker(holder->worker);
    event.set_grant(holder->grant);
  }
}

void AuditTrail::Record(const Family& family, uint64_t channel, AuditEvent event) {
  if (!settings_) return;
  Stamp(family, channel, event);
  Clean(*event.mutable_text(), kMostTextBytes);
  Add({Teller::kBroker, family.id()}, std::move(event));
}

void AuditTrail::RecordLimits(const Family& family, uint64_t channel, AuditEvent event) {
  if (!settings_) return;
  const auto found = family.channels().find(channel);
  if (found != family.channels().end() && found->second.limits->message() != nullptr) {
    event.set_text(found->second.limits->message()->ShortDebugString());
  }
  Record(family, channel, std::move(event));
}

void AuditTrail::RecordLimits(const Family& family, uint64_t channel, AuditEvent::Kind kind) {
  AuditEvent event;
  event.set_kind(kind);
  RecordLimits(family, channel, std::move(event));
}

void AuditTrail::Record(uint64_t worker, AuditEvent event) {
  if (!settings_) return;
  event.set_worker(worker);
  Clean(*event.mutable_text(), kMostTextBytes);
  Add({Teller::kBroker, 0}, std::move(event));
}

void AuditTrail::ReportNamed(uint64_t worker, AuditEvent event) {
  if (!settings_) return;
  event.set_worker(worker);
  for (AuditEvent::Value& value : *event.mutable_values()) {
    Clean(*value.mutable_value(), kMostEntryBytes);
  }
  Add({Teller::kSupervisor, worker}, std::move(event));
}

void AuditTrail::Report(const Family& family, const v1::ReportEventsRequest& request) {
  if (!settings_) return;
  for (const AuditEvent& said : request.events()) {
    if (!MayReport(said.kind()) || !family.Knows(said.channel())) continue;
    AuditEvent event = Reported(said);
    Stamp(family, said.channel(), event);
    Add({Teller::kService, family.id()}, std::move(event));
  }
}

void AuditTrail::Add(Source source, AuditEvent event) {
  event.set_sequence(next_++);
  const absl::Time now = absl::Now();
  const int64_t seconds = absl::ToUnixSeconds(now);
  event.mutable_time()->set_seconds(seconds);
  event.mutable_time()->set_nanos(
      static_cast<int32_t>(absl::ToInt64Nanoseconds(now - absl::FromUnixSeconds(seconds))));
  const size_t size = event.ByteSizeLong();
  Waiting& waiting = waiting_[source];
  if (bytes_ + size > kMostBytes || waiting.bytes + size > kMostSourceBytes) {
    LeaveOut(waiting, event);
  } else {
    waiting.bytes += size;
    bytes_ += size;
    queue_.emplace_back(source, std::move(event));
  }
  Tell();
}

void AuditTrail::LeaveOut(Waiting& waiting, const AuditEvent& event) {
  // What was left out before it was said counts as what it is.
  const bool counted = event.kind() == AuditEvent::LEFT_OUT;
  const AuditEvent::Kind kind = counted ? event.left_out() : event.kind();
  const bool crowded = waiting.left_out.size() >= kMostLeftOut;
  AuditEvent& left_out = waiting.left_out[{crowded ? 0 : event.channel(), kind}];
  if (left_out.count() == 0) {
    left_out = event;
    left_out.clear_values();
    left_out.clear_text();
    left_out.clear_method();
    left_out.clear_reason();
    left_out.clear_count();
    left_out.set_kind(AuditEvent::LEFT_OUT);
    left_out.set_left_out(kind);
    if (crowded) left_out.set_channel(0);
  }
  left_out.set_count(left_out.count() + (counted ? event.count() : 1));
}

void AuditTrail::Take(v1::ReadAuditResponse& response) {
  size_t taken = 0;
  while (!queue_.empty() && taken < kBatchBytes) {
    const Source source = queue_.front().first;
    AuditEvent event = std::move(queue_.front().second);
    queue_.pop_front();
    const size_t size = event.ByteSizeLong();
    *response.add_events() = std::move(event);
    taken += size;
    bytes_ -= size;
    Waiting& waiting = waiting_[source];
    waiting.bytes -= size;
    if (waiting.bytes != 0) continue;
    for (auto& [what, left_out] : waiting.left_out) {
      left_out.set_sequence(next_++);
      taken += left_out.ByteSizeLong();
      *response.add_events() = std::move(left_out);
    }
    waiting_.erase(source);
  }
}

absl::Status AuditTrail::Read(absl::Duration wait, Reader reader) {
  if (!settings_) return absl::FailedPreconditionError("audit: none was started");
  if (reader_ && reader_->response() != nullptr) {
    return absl::FailedPreconditionError("audit: somebody reads it already");
  }
  reader_ = std::move(reader);
  if (!queue_.empty() || wait <= absl::ZeroDuration()) {
    Answer();
  } else {
    if (timer_ != 0) loop_.Cancel(timer_);
    timer_ = loop_.RunAt(absl::Now() + std::min(wait, kLongestWait), [this] {
      timer_ = 0;
      if (reader_) Answer();
    });
  }
  return absl::OkStatus();
}

void AuditTrail::Tell() {
  if (reader_ && !queue_.empty()) Answer();
}

void AuditTrail::Answer() {
  if (timer_ != 0) loop_.Cancel(std::exchange(timer_, 0));
  const Reader reader = *std::exchange(reader_, std::nullopt);
  v1::ReadAuditResponse* const response = reader.response();
  if (response == nullptr) return;  // what waits is for the next one
  Take(*response);
  reader.done();
}

}  // namespace capbroker::broker
