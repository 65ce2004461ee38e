// The broker, as the application that started it has it.
//
//   int main() {
//     capbroker::Broker broker = capbroker::Broker::StartOrDie();  // before any thread
//     absl::StatusOr<capbroker::Worker> worker = broker.Launch({
//         .entry = ShowPage,
//         .grants = {{"dns", capbroker::ResolveNames({"example.org"})}}});
//
// The broker is a child of the application that gives no SIGCHLD and that wait() does not
// see. It serves this handle alone, and lives as long as it: when the handle is
// destroyed, or the application dies by whatever cause, the kernel kills the broker, and
// with it every service process and every worker. INVARIANT(no-orphans)
//
// A fork of the application has a copy of the handle, as of any descriptor: the broker then
// lives until the last copy is gone. Only the process that started it can use it.
//
// Lives in: the application. Thread-safe, but for moves and the destructor.
#ifndef CLIENT_BROKER_H_
#define CLIENT_BROKER_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "capbroker/v1/broker.pb.h"
#include "client/audit.h"
#include "client/grant.h"
#include "client/worker.h"
#include "client/worker_cgroups.h"
#include "client/worker_options.h"
#include "transport/channel.h"

namespace capbroker {

class BrokerLink;

// What a revocation has ended, and what it could not.
struct Revocation {
  int channels = 0;
  // Connections that had been delivered with a lease, and are shut down:
  // docs/design/channel_state.md.
  uint64_t shut_down = 0;
  // Descriptors that had been delivered without one, on these channels or on clones of them that
  // are gone: Linux takes none back from who holds it. To end their use, too, end the worker.
  struct Delivered {
    std::string service;
    std::string method;    // empty: of several, more than can be told one by one
    std::string field;     // of its response
    uint64_t channel = 0;  // as the audit has it
    uint64_t descriptors = 0;
  };
  std::vector<Delivered> not_taken_back;
  // Services of which more may be left than is told above: a process has died with what it knew,
  // and connections that it had leased were not shut down; or a worker had closed all that it was
  // granted.
  std::vector<std::string> incomplete;
};

struct BrokerOptions {
  // Workers that are forked and confined ahead, and wait for a launch, which then takes a fraction
  // of the time. At most 64; each is two processes, some hundred KiB. One serves a launch with an
  // entry and without `supervision`, whose `bounds` (but for wall_time), `resizes_files`,
  // `makes_code` and `accepts_connections` it was made with: the defaults at first, then those of
  // the last launches. Others, and those that come when no spare is left, are forked then as ever.
  int spare_workers = 0;
  // Service processes that are forked ahead, and wait for a service to be opened, which then takes
  // two thirds of the time. At most 64, each some hundred KiB, of the services that were opened
  // last.
  int spare_services = 0;
  // Where workers get cgroups, so that bounds hold for all processes of a worker together.
  WorkerCgroups cgroups = {};
};

class Broker {
 public:
  // Forks the broker from this process: first thing in main, before secrets are
  // loaded. FAILED_PRECONDITION: the process has more than one thread, or gRPC is in use.
  // INVALID_ARGUMENT: options out of range. With `cgroups`, FAILED_PRECONDITION,
  // PERMISSION_DENIED, NOT_FOUND: there are none to be had there, and why; who can do without may
  // start without then.
  static absl::StatusOr<Broker> Start(const BrokerOptions& options = {});
  static Broker StartOrDie(const BrokerOptions& options = {});

  // Executes a broker program (one whose main calls RunBrokerProgram, broker/broker_program.h)
  // that links the services: for applications with threads, and for tests. `path`
  // is not searched for. Not a child of the application afterwards.
  static absl::StatusOr<Broker> StartProgram(const std::string& path,
                                             const std::vector<std::string>& arguments = {},
                                             const WorkerCgroups& cgroups = {});

  Broker(Broker&&) noexcept;
  Broker& operator=(Broker&&) noexcept;
  // Kills the broker and everything that it started.
  ~Broker();

  // Opens a service in a process of its own and gives the channel to it.
  // The authority's upstream is given away even if that fails.
  // NOT_FOUND: no such service is linked; INVALID_ARGUMENT: limits or budget are malformed.
  absl::StatusOr<std::shared_ptr<Channel>> Open(const Authority& authority);

  // Starts a confined worker with the channels of its grants, or nothing.
  // A channel among the grants is given away even if the launch fails.
  // INVALID_ARGUMENT, NOT_FOUND: a grant, as in Open(), or the options. FAILED_PRECONDITION:
  // a layer of the confinement cannot be had here. UNAVAILABLE: the zygote died
  // meanwhile; try again.
  absl::StatusOr<Worker> Launch(WorkerOptions options);

  // Revokes a channel that Open() gave, or a clone of one, and everything that was cloned from
  // it, wherever that is now. When it returns no call on them is admitted any more; calls in
  // flight have ended with PERMISSION_DENIED and the reason REVOKED.
  // NOT_FOUND: another channel, or it was closed, or handed on otherwise than as a grant.
  absl::StatusOr<Revocation> Revoke(const Channel& channel);
  // The same for one grant of a worker, and for all of them.
  // NOT_FOUND: no such worker or grant, or a grant by a channel of unknown origin.
  absl::StatusOr<Revocation> RevokeGrant(const Worker& worker, const std::string& name);
  absl::StatusOr<Revocation> RevokeGrants(const Worker& worker);

  // Records from now on what happens on the channels that are opened from now on.
  // FAILED_PRECONDITION: a service is open, or it was started already.
  absl::StatusOr<Audit> StartAudit(const AuditOptions& options);

  // Processes and families that are alive.
  absl::StatusOr<v1::InspectResponse> Inspect();

 private:
  friend class BrokerLauncher;  // broker_start.cc
  explicit Broker(std::shared_ptr<BrokerLink> link);
  absl::StatusOr<Revocation> Revoke(const v1::BrokerRevokeRequest& request);
  std::shared_ptr<BrokerLink> link_;
};

}  // namespace capbroker

#endif  // CLIENT_BROKER_H_
