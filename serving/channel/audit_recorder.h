// What a service process tells the broker of the calls that it answers.
//
// Events are gathered and told in batches, a moment later or when there are many. Each
// channel has a quota for every kind of event, so that a worker that floods its own
// channel hides neither another's events nor its own of another kind; what is left out is
// counted, and told. What a process had not told when it crashed is lost: the broker
// records the crash.
//
// The broker does not believe what is said here of who: it looks the channel up in its own record.
//
// Lives in: a service process of a broker whose application audits; there is none otherwise.
// Thread-safe.
#ifndef SERVING_CHANNEL_AUDIT_RECORDER_H_
#define SERVING_CHANNEL_AUDIT_RECORDER_H_

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "authority/denial.h"
#include "authority/limits.h"
#include "authority/schema.h"
#include "capbroker/v1/audit.pb.h"
#include "capbroker/v1/control.pb.h"
#include "google/protobuf/message.h"

namespace capbroker::serving {

class AuditRecorder {
 public:
  // `tell` sends a batch to the broker, and may block. `later` calls a function after a
  // while on a thread that may.
  using Tell = std::function<void(const v1::ReportEventsRequest&)>;
  using Later = std::function<void(absl::Duration, std::function<void()>)>;
  AuditRecorder(const authority::ServiceSchema* schema, const v1::AuditSettings& settings,
                Tell tell, Later later);

  // A call, or a message of a stream: allowed, or refused by `refusal`.
  void Decided(uint64_t channel, const authority::MethodSchema& method,
               const google::protobuf::Message& request, const authority::Refusal* refusal)
      ABSL_LOCKS_EXCLUDED(mutex_);
  // A call that was allowed, and is refused for what it has led to.
  void Refused(uint64_t channel, const authority::Refusal& refusal) ABSL_LOCKS_EXCLUDED(mutex_);
  void Delivered(uint64_t channel, const std::string& method, size_t descriptors)
      ABSL_LOCKS_EXCLUDED(mutex_);

  // The watcher of a channel's limits; null if nothing is to be learned.
  std::shared_ptr<const authority::Limits::Watcher> WatcherOf(uint64_t channel);

  // The channel is gone: tells what there is of it.
  void Forget(uint64_t channel) ABSL_LOCKS_EXCLUDED(mutex_);

  // Tells what was gathered, and nothing later. At the end of the process.
  void Finish() ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  using Key = std::pair<uint64_t, int>;  // channel, kind
  struct Quota {
    absl::Duration minute =
        -absl::InfiniteDuration();  // when it began, by a clock that is never set
    uint64_t events = 0;
    uint64_t left_out = 0;
  };

  void Learn(uint64_t channel, const authority::LimitField& field,
             const authority::RequestValue& value) ABSL_LOCKS_EXCLUDED(mutex_);
  void Add(v1::AuditEvent event) ABSL_LOCKS_EXCLUDED(mutex_);
  // After something was gathered or left out: has it told in a while.
  void Schedule() ABSL_LOCKS_EXCLUDED(mutex_);
  // Tells batch after batch: what there is now, whatever comes meanwhile.
  void TellAll(bool last) ABSL_LOCKS_EXCLUDED(mutex_);
  // Whether there is room; otherwise counts it as left out.
  bool Charge(uint64_t channel, v1::AuditEvent::Kind kind, size_t bytes)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  v1::ReportEventsRequest TakeBatch(bool last) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Whether there was something to tell.
  bool TellBatch(bool last) ABSL_LOCKS_EXCLUDED(mutex_, telling_);

  const authority::ServiceSchema& schema_;
  const v1::AuditSettings settings_;
  const Tell tell_;
  const Later later_;
  absl::Mutex telling_ ABSL_ACQUIRED_BEFORE(mutex_);  // one batch after another
  absl::Mutex mutex_;
  std::deque<v1::AuditEvent> gathered_ ABSL_GUARDED_BY(mutex_);
  size_t gathered_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  bool scheduled_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Duration left_out_told_ ABSL_GUARDED_BY(mutex_) = -absl::InfiniteDuration();
  uint64_t allowed_ ABSL_GUARDED_BY(mutex_) = 0;
  absl::flat_hash_map<Key, Quota> quotas_ ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_set<std::string> learned_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace capbroker::serving

#endif  // SERVING_CHANNEL_AUDIT_RECORDER_H_
