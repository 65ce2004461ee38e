// What one channel has given away: the descriptors that were delivered on it, and the leases of
// those that can be taken back.
//
// A descriptor is its holder's for good: Linux has no way to take one back. What can be ended is
// a *connection*, from any of its descriptors. So a field that is declared with `lease: SHUT_DOWN`
// (authority.proto) leaves a duplicate here when it is delivered, and when the channel ends, every
// leased connection is shut down both ways: who reads from it then gets what had arrived and the
// end, who writes gets EPIPE, whoever has descriptors of it. So is a TCP socket that listens: who
// waits in its queue is reset, and accept(2) fails. The channel's end is its revocation,
// or that its holder has closed it: if closing it freed the connections, a holder would close it
// before it is revoked.
//
// Linux tells nobody how many descriptors a connection has, and the duplicate is one. So close(2)
// of the holder's does not end a leased connection; a holder that is done has to shutdown(2) it. A
// lease is given up when its connection is seen to have ended both ways: shut down, reset, or
// closed by the peer of a UNIX socket. A TCP peer that has closed may still be written to; it is
// found to be gone by the probes of keepalive, which a lease turns on, in a minute or two. What
// a holder has closed and not shut down, while the peer waits, is held until the channel ends:
// hence the bounds, of a channel here and of a family in the budget.
//
// What a TCP connection's end is worth depends on the holder: docs/design/descriptor_rights.md.
// A process that crashes takes its leases along.
//
// Lives in: service processes. Thread-safe.
#ifndef SERVING_CHANNEL_DELIVERIES_H_
#define SERVING_CHANNEL_DELIVERIES_H_

#include <google/protobuf/descriptor.h>

#include <cstdint>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/types/span.h"
#include "authority/budget.h"
#include "authority/schema.h"
#include "base/unique_fd.h"
#include "capbroker/v1/control.pb.h"
#include "serving/events/event_loop.h"

namespace capbroker::serving {

// A descriptor of a response, and the field that names it.
struct NamedDescriptor {
  const google::protobuf::FieldDescriptor* field;
  FdRef fd;
};

// Whether the field declares a lease.
bool IsLeased(const google::protobuf::FieldDescriptor& field);

class Deliveries final : public std::enable_shared_from_this<Deliveries> {
 public:
  // Leases of one channel at a time; in a denial "leases_of_channel".
  static constexpr size_t kMostLeases = 64;

  // `loop` outlives this and is used for leases alone; `budget` is null in tests.
  Deliveries(EventLoop* loop, std::shared_ptr<authority::Budget> budget)
      : loop_(loop), budget_(std::move(budget)) {}
  ~Deliveries();
  Deliveries(const Deliveries&) = delete;
  Deliveries& operator=(const Deliveries&) = delete;

  // What is about to be sent: leases what is declared to be leased, and counts the rest; all of
  // it or nothing. RESOURCE_EXHAUSTED with BUDGET_EXHAUSTED: too many leases. UNAVAILABLE: a
  // connection that has ended, or the channel has. INTERNAL: no connection that can be leased.
  // INVARIANT(leases-end-with-their-channel): what has passed here is shut down or counted by a
  // revocation that comes at any later moment, and after one nothing passes.
  absl::Status Add(const authority::MethodSchema& method,
                   absl::Span<const NamedDescriptor> descriptors) ABSL_LOCKS_EXCLUDED(mutex_);

  // Shuts down what is leased, and delivers nothing any more. Does not wait for peers.
  void End() ABSL_LOCKS_EXCLUDED(mutex_);

  // What was delivered without a lease, by method and field: as many entries as the service has
  // such fields, at most 64.
  void Tell(google::protobuf::RepeatedPtrField<v1::Delivery>* deliveries) const
      ABSL_LOCKS_EXCLUDED(mutex_);
  // Connections that End() has shut down.
  uint64_t shut_down() const ABSL_LOCKS_EXCLUDED(mutex_);
  size_t leases() const ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  struct Lease {
    UniqueFd connection;
    authority::HeldCharge charge;
    uint64_t watch = 0;  // 0: it is only looked at when room is needed
  };

  absl::StatusOr<Lease> MakeLease(const authority::MethodSchema& method, FdRef connection);
  void OnEvent(uint64_t lease, uint32_t events) ABSL_LOCKS_EXCLUDED(mutex_);
  void DropEnded() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Watch(uint64_t id, Lease& lease) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Unwatch(Lease& lease) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  EventLoop* const loop_;
  const std::shared_ptr<authority::Budget> budget_;
  mutable absl::Mutex mutex_;
  bool ended_ ABSL_GUARDED_BY(mutex_) = false;
  uint64_t shut_down_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t next_lease_ ABSL_GUARDED_BY(mutex_) = 1;
  std::map<uint64_t, Lease> leases_ ABSL_GUARDED_BY(mutex_);
  using Source =
      std::pair<const authority::MethodSchema*, const google::protobuf::FieldDescriptor*>;
  std::map<Source, uint64_t> not_leased_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace capbroker::serving

#endif  // SERVING_CHANNEL_DELIVERIES_H_
