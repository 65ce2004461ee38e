// The broker's audit: one stream of what happens on its channels, for the application to read.
//
// Who and when are written here, from the broker's record: a service process says only what was
// asked, about channels of its own family, and a worker's supervisor what the worker named. What
// the application has not read yet waits in a bounded queue. Of that the reports about each family
// may fill a part, the broker's own events about it another, those about workers a third, and what
// a worker names one for each, so that no flood pushes anything else out. What finds no room is
// counted, and the count is told when there is.
//
// Lives in: the broker, on its one thread.
#ifndef BROKER_FAMILIES_AUDIT_TRAIL_H_
#define BROKER_FAMILIES_AUDIT_TRAIL_H_

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "broker/families/family.h"
#include "capbroker/v1/audit.pb.h"
#include "capbroker/v1/broker.pb.h"
#include "capbroker/v1/control.pb.h"
#include "serving/events/event_loop.h"

namespace capbroker::broker {

class AuditTrail {
 public:
  // `loop` outlives the trail.
  explicit AuditTrail(serving::EventLoop* loop) : loop_(*loop) {}

  // FAILED_PRECONDITION: it was started already.
  absl::Status Start(const v1::AuditSettings& settings);

  // What service processes are told; null: there is no audit.
  const v1::AuditSettings* settings() const { return settings_ ? &*settings_ : nullptr; }

  // An event of a channel of `family`: `event` says kind and text, and the rest is filled in.
  void Record(const Family& family, uint64_t channel, v1::AuditEvent event);
  // The same, with the channel's limits as the text.
  void RecordLimits(const Family& family, uint64_t channel, v1::AuditEvent event);
  void RecordLimits(const Family& family, uint64_t channel, v1::AuditEvent::Kind kind);
  // An event of a worker.
  void Record(uint64_t worker, v1::AuditEvent event);

  // TRUST(worker): what a service process says of its own family. What is not about one
  // of its channels is dropped.
  void Report(const Family& family, const v1::ReportEventsRequest& request);

  // TRUST(worker): what a worker named, as its supervisor says: an event with values.
  void ReportNamed(uint64_t worker, v1::AuditEvent event);

  // Somebody who waits for events: where to put them (null: he waits no more), and to be told
  // that they are there.
  struct Reader {
    std::function<v1::ReadAuditResponse*()> response;
    std::function<void()> done;
  };
  // Gives the events that wait, at once or when there are some, or none after `wait`.
  // FAILED_PRECONDITION: there is no audit, or somebody reads it already.
  absl::Status Read(absl::Duration wait, Reader reader);

 private:
  enum class Teller { kService, kBroker, kSupervisor };
  // A service process about a family, the broker about one (0: about workers), or the
  // supervisor of a worker.
  using Source = std::pair<Teller, uint64_t>;
  // The events of one source that wait.
  struct Waiting {
    size_t bytes = 0;
    std::map<std::pair<uint64_t, int>, v1::AuditEvent> left_out;  // by channel and kind
  };

  void Stamp(const Family& family, uint64_t channel, v1::AuditEvent& event);
  void Add(Source source, v1::AuditEvent event);
  void LeaveOut(Waiting& waiting, const v1::AuditEvent& event);
  void Take(v1::ReadAuditResponse& response);
  void Tell();
  void Answer();

  serving::EventLoop& loop_;
  std::optional<v1::AuditSettings> settings_;
  uint64_t next_ = 1;
  std::deque<std::pair<Source, v1::AuditEvent>> queue_;
  std::map<Source, Waiting> waiting_;
  size_t bytes_ = 0;
  std::optional<Reader> reader_;
  uint64_t timer_ = 0;
};

}  // namespace capbroker::broker

#endif  // BROKER_FAMILIES_AUDIT_TRAIL_H_
