// Asks name servers, many questions at once, on one thread.
//
// A server that was silent while the next one answered is asked last for a while,
// so that a dead first server costs its time-out once and not with every name.
//
// Lives in: the service process. Thread-safe. Starts its thread at the first
// question; so it may be made before the process is confined, or never be used.
#ifndef SERVICES_HOSTS_NAME_SERVERS_H_
#define SERVICES_HOSTS_NAME_SERVERS_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "base/unique_fd.h"
#include "services/hosts/dns_message.h"
#include "services/hosts/quiet_thread.h"
#include "services/hosts/resolv_conf.h"

namespace capbroker::hosts {

class NameServers {
 public:
  struct Question {
    std::string name;  // canonical
    std::vector<RecordType> types;
    std::shared_ptr<const ResolvConf> conf;
    absl::Time give_up = absl::InfiniteFuture();
  };
  // One result for each type, in their order. NOT_FOUND: no such name or record;
  // UNAVAILABLE: no server could tell.
  using Results = std::vector<absl::StatusOr<DnsRecords>>;
  using Done = std::function<void(Results)>;

  NameServers();
  // Ends what is under way; nobody is called back.
  ~NameServers();
  NameServers(const NameServers&) = delete;
  NameServers& operator=(const NameServers&) = delete;

  // Calls `done` once, on the thread of this object, unless it is cancelled. `done`
  // must not block. Returns an id for Cancel(). UNAVAILABLE: no thread can be had.
  absl::StatusOr<uint64_t> Ask(Question question, Done done) ABSL_LOCKS_EXCLUDED(mutex_);

  // Ends a question and closes its sockets. `done` may still be called for a moment.
  void Cancel(uint64_t id) ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  class Exchange;
  struct Order {
    uint64_t id;
    Question question;
    Done done;  // none: cancel `id`
  };

  absl::Status StartThread() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Run();
  // Starts and ends exchanges as was asked for; false when it is time to stop.
  bool TakeOrders() ABSL_LOCKS_EXCLUDED(mutex_);
  void PollExchanges();
  void DeliverResults();
  size_t FirstServer(const ResolvConf& conf);

  UniqueFd wake_;  // an eventfd, made with the thread
  absl::Mutex mutex_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  uint64_t next_id_ ABSL_GUARDED_BY(mutex_) = 1;
  std::vector<Order> orders_ ABSL_GUARDED_BY(mutex_);
  std::optional<QuietThread> thread_ ABSL_GUARDED_BY(mutex_);

  // The rest is used by the thread alone.
  std::map<uint64_t, std::unique_ptr<Exchange>> exchanges_;
  size_t next_first_ = 0;  // for `rotate`
  // The server that answered when the ones before it did not.
  std::vector<NameServer> preferred_of_;
  size_t preferred_ = 0;
  absl::Time preferred_until_ = absl::InfinitePast();
};

}  // namespace capbroker::hosts

#endif  // SERVICES_HOSTS_NAME_SERVERS_H_
