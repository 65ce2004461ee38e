#include "serving/channel/audit_recorder.h"

#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "authority/bounded_values.h"
#include "authority/budget.h"
#include "capbroker/v1/authority.pb.h"

namespace capbroker::serving {
namespace {

using authority::LimitField;
using authority::RequestValue;
using v1::AuditEvent;

constexpr absl::Duration kDelay = absl::Milliseconds(20);
constexpr absl::Duration kLeftOutEvery = absl::Seconds(1);
constexpr int kBatchEvents = 128;
constexpr size_t kBatchBytes = 256 << 10;
// While the broker is slow to take a batch: what is beyond is left out.
constexpr size_t kMostGatheredBytes = 1 << 20;
constexpr uint64_t kDefaultPerMinute = 6000;
constexpr size_t kMostLearned = 20'000;
constexpr int kMostValues = 8;
// Before escaping, which makes four bytes of one at most.
constexpr size_t kMostValueBytes = authority::kMostRefusedBytes;

std::string Escape(absl::string_view text) {
  const bool cut = text.size() > kMostValueBytes;
  return absl::StrCat(absl::CEscape(text.substr(0, kMostValueBytes)), cut ? "..." : "");
}

void AddValue(const LimitField& field, const RequestValue& value, AuditEvent& event) {
  AuditEvent::Value* const added = event.add_values();
  added->set_field(field.name());
  added->set_kind(field.kind);
  const std::string text = authority::TextOfValue(field, value);
  // Text that TextOfValue has escaped already.
  added->set_value(text.size() > 4 * kMostValueBytes
                       ? absl::StrCat(text.substr(0, 4 * kMostValueBytes), "...")
                       : text);
}

void SetRefusal(const authority::Refusal& refusal, AuditEvent& event) {
  event.set_kind(AuditEvent::DENIED);
  event.set_method(refusal.denial.method());
  event.set_reason(refusal.denial.reason());
  if (refusal.denial.field().empty() && refusal.value.empty()) return;
  AuditEvent::Value* const decided = event.add_values();
  decided->set_field(refusal.denial.field());
  decided->set_value(Escape(refusal.value));
}

AuditEvent LeftOut(uint64_t channel, int kind, uint64_t count) {
  AuditEvent event;
  event.set_kind(AuditEvent::LEFT_OUT);
  event.set_channel(channel);
  event.set_left_out(static_cast<AuditEvent::Kind>(kind));
  event.set_count(count);
  return event;
}

}  // namespace

AuditRecorder::AuditRecorder(const authority::ServiceSchema* schema,
                             const v1::AuditSettings& settings, Tell tell, Later later)
    : schema_(*schema), settings_(settings), tell_(std::move(tell)), later_(std::move(later)) {}

void AuditRecorder::Decided(uint64_t channel, const authority::MethodSchema& method,
                            const google::protobuf::Message& request,
                            const authority::Refusal* refusal) {
  AuditEvent event;
  event.set_channel(channel);
  if (refusal != nullptr) {
    SetRefusal(*refusal, event);
    return Add(std::move(event));
  }
  {
    absl::MutexLock lock(&mutex_);
    const uint32_t one_in = settings_.allowed_one_in();
    if (one_in == 0 || allowed_++ % one_in != 0) return;
  }
  event.set_kind(AuditEvent::ALLOWED);
  event.set_method(method.name());
  authority::VisitBoundedValues(schema_, method, request,
                                [&event](const LimitField& field, const RequestValue& value) {
                                  AddValue(field, value, event);
                                  return event.values_size() < kMostValues;
                                });
  Add(std::move(event));
}

void AuditRecorder::Refused(uint64_t channel, const authority::Refusal& refusal) {
  AuditEvent event;
  event.set_channel(channel);
  SetRefusal(refusal, event);
  Add(std::move(event));
}

void AuditRecorder::Delivered(uint64_t channel, const std::string& method, size_t descriptors) {
  AuditEvent event;
  event.set_kind(AuditEvent::DELIVERED);
  event.set_channel(channel);
  event.set_method(method);
  event.set_count(descriptors);
  Add(std::move(event));
}

std::shared_ptr<const authority::Limits::Watcher> AuditRecorder::WatcherOf(uint64_t channel) {
  if (!settings_.learn()) return nullptr;
  return std::make_shared<const authority::Limits::Watcher>(
      [this, channel](const LimitField& field, const RequestValue& value) {
        Learn(channel, field, value);
      });
}

void AuditRecorder::Learn(uint64_t channel, const LimitField& field, const RequestValue& value) {
  AuditEvent event;
  event.set_kind(AuditEvent::LEARNED);
  event.set_channel(channel);
  AuditEvent::Value* const learned = event.add_values();
  learned->set_field(field.name());
  learned->set_kind(field.kind);
  learned->set_value(authority::TextOfValue(field, value));
  std::string key = absl::StrCat(channel, " ", field.name(), " ", learned->value());
  bool told;
  {
    absl::MutexLock lock(&mutex_);
    if (learned_.contains(key)) return;
    const bool room = learned_.size() < kMostLearned;
    if (room) learned_.insert(std::move(key));
    // What cannot be granted alone, or is too much, is told to be missing.
    told = room && authority::HasEntryOfItsOwn(field, value);
    if (!told) ++quotas_[{channel, AuditEvent::LEARNED}].left_out;
  }
  if (told) return Add(std::move(event));
  Schedule();
}

// INVARIANT(flood-hides-nothing): a quota for each channel and each kind, and a count of the rest.
bool AuditRecorder::Charge(uint64_t channel, AuditEvent::Kind kind, size_t bytes) {
  Quota& quota = quotas_[{channel, kind}];
  const absl::Duration now = authority::MonotonicNow();
  if (now - quota.minute >= absl::Minutes(1)) {
    quota.minute = now;
    quota.events = 0;
  }
  const uint64_t most =
      settings_.events_per_minute() == 0 ? kDefaultPerMinute : settings_.events_per_minute();
  // What is learned is bounded by its own count: each value is told once.
  const bool full = kind != AuditEvent::LEARNED && quota.events >= most;
  if (full || gathered_bytes_ + bytes > kMostGatheredBytes) {
    ++quota.left_out;
    return false;
  }
  ++quota.events;
  return true;
}

void AuditRecorder::Add(AuditEvent event) {
  const size_t bytes = event.ByteSizeLong();
  {
    absl::MutexLock lock(&mutex_);
    if (Charge(event.channel(), event.kind(), bytes)) {
      gathered_.push_back(std::move(event));
      gathered_bytes_ += bytes;
    }
  }
  Schedule();
}

void AuditRecorder::Schedule() {
  bool now;
  {
    absl::MutexLock lock(&mutex_);
    now = gathered_.size() == kBatchEvents;
    if (std::exchange(scheduled_, true) && !now) return;
  }
  later_(now ? absl::ZeroDuration() : kDelay, [this] { TellBatch(/*last=*/false); });
}

// What was left out is told once in a while, however fast it comes.
v1::ReportEventsRequest AuditRecorder::TakeBatch(bool last) {
  v1::ReportEventsRequest batch;
  size_t bytes = 0;
  while (!gathered_.empty() && batch.events_size() < kBatchEvents && bytes < kBatchBytes) {
    const size_t size = gathered_.front().ByteSizeLong();
    bytes += size;
    gathered_bytes_ -= size;
    *batch.add_events() = std::move(gathered_.front());
    gathered_.pop_front();
  }
  const absl::Duration now = authority::MonotonicNow();
  if (!last && now - left_out_told_ < kLeftOutEvery) return batch;
  left_out_told_ = now;
  for (auto& [key, quota] : quotas_) {
    if (quota.left_out == 0 || batch.events_size() >= 2 * kBatchEvents) continue;
    *batch.add_events() = LeftOut(key.first, key.second, std::exchange(quota.left_out, 0));
  }
  return batch;
}

bool AuditRecorder::TellBatch(bool last) {
  absl::MutexLock telling(&telling_);
  v1::ReportEventsRequest batch;
  absl::Duration again = kDelay;
  {
    absl::MutexLock lock(&mutex_);
    batch = TakeBatch(last);
    scheduled_ = !gathered_.empty();
    if (!scheduled_) {
      for (const auto& [key, quota] : quotas_) scheduled_ = scheduled_ || quota.left_out != 0;
      again = kLeftOutEvery;
    }
    if (last) scheduled_ = true;  // by nobody: the process ends
  }
  if (!batch.events().empty()) tell_(batch);
  absl::MutexLock lock(&mutex_);
  if (scheduled_ && !last) later_(again, [this] { TellBatch(/*last=*/false); });
  return !batch.events().empty();
}

void AuditRecorder::TellAll(bool last) {
  size_t batches;
  {
    absl::MutexLock lock(&mutex_);
    batches =
        1 + gathered_bytes_ / kBatchBytes + (gathered_.size() + quotas_.size()) / kBatchEvents;
  }
  while (batches-- > 0 && TellBatch(last)) {
  }
}

void AuditRecorder::Finish() { TellAll(/*last=*/true); }

void AuditRecorder::Forget(uint64_t channel) {
  {
    absl::MutexLock lock(&mutex_);
    for (int kind = 0; kind < AuditEvent::Kind_ARRAYSIZE; ++kind) {
      const auto found = quotas_.find({channel, kind});
      if (found == quotas_.end()) continue;
      if (found->second.left_out != 0) {
        gathered_.push_back(LeftOut(channel, kind, found->second.left_out));
        gathered_bytes_ += gathered_.back().ByteSizeLong();
      }
      quotas_.erase(found);
    }
  }
  TellAll(/*last=*/false);
}

}  // namespace capbroker::serving
