// What happens on a broker's channels, for the application that started it.
//
//   absl::StatusOr<capbroker::Audit> audit = broker.StartAudit({});  // before the first Open
//   ...
//   for (const v1::AuditEvent& event : *audit->Next(absl::Seconds(1))) ...
//
// One stream: what was opened, granted, narrowed, cloned, closed and revoked, which calls were
// allowed or denied and by which field, descriptors that were delivered, violations of the
// system call table, ends. Who and when are the broker's word. The broker keeps some MiB for who
// reads late, of which each family has a part; what found no room is counted (LEFT_OUT), so a flood
// hides nothing else and what is missing is known.
//
// client/audit_file.h writes it to a file, which `capbroker audit` reads.
//
// Lives in: the application. Thread-safe; one reader at a time.
#ifndef CLIENT_AUDIT_H_
#define CLIENT_AUDIT_H_

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "capbroker/v1/audit.pb.h"

namespace capbroker {

class BrokerLink;

struct AuditOptions {
  // One of so many allowed calls is recorded, and none with 0; denied ones always are.
  uint32_t allowed_one_in = 1;
  // Learn mode: tells every value that a channel is used with, once: what the least limits
  // that would have allowed the same are made of (`capbroker audit --learn`).
  bool learn = false;
  // Of one kind, for each channel; the rest is counted.
  uint32_t events_per_minute = 6000;
};

class Audit {
 public:
  Audit(Audit&&) = default;
  Audit& operator=(Audit&&) = default;

  // The events that were not given yet, in order; waits for the first of them, at most
  // `wait` (10 s). UNAVAILABLE: the broker is gone. FAILED_PRECONDITION: somebody else waits.
  absl::StatusOr<std::vector<v1::AuditEvent>> Next(absl::Duration wait);

 private:
  friend class Broker;
  explicit Audit(std::shared_ptr<BrokerLink> link) : link_(std::move(link)) {}
  std::shared_ptr<BrokerLink> link_;
};

}  // namespace capbroker

#endif  // CLIENT_AUDIT_H_
