// What this system knows about hosts: the sources of nsswitch.conf(5), in their
// order, asked as getaddrinfo(3) and getnameinfo(3) ask them, but without blocking.
//
// Lives in: the service process. Thread-safe. Numbers, hosts(5) and localhost are
// answered at once; everything else on threads that start when they are needed.
#ifndef SERVICES_HOSTS_HOST_DATABASE_H_
#define SERVICES_HOSTS_HOST_DATABASE_H_

#include <atomic>
#include <functional>
#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "services/hosts/config_file.h"
#include "services/hosts/dns_source.h"
#include "services/hosts/host_source.h"
#include "services/hosts/hosts_file.h"
#include "services/hosts/module_source.h"
#include "services/hosts/nsswitch.h"
#include "serving/service_needs.h"

namespace capbroker::hosts {

struct HostDatabaseOptions {
  std::string hosts_path = "/etc/hosts";
  std::string nsswitch_path = "/etc/nsswitch.conf";
  std::string resolv_conf_path = "/etc/resolv.conf";
  std::string module_folder;  // empty: where libraries are
  // Lookups at the same time; beyond, RESOURCE_EXHAUSTED.
  int max_lookups = 128;
  // A lookup ends after this long, whatever servers and modules do.
  absl::Duration timeout = absl::Seconds(30);
};

// What asking takes.
serving::ServiceNeeds HostNeeds(const HostDatabaseOptions& options);

// Loads the modules that nsswitch.conf names now, for ever: a process that maps no code any more
// finds them.
void LoadHostModules(const HostDatabaseOptions& options);

class HostDatabase {
 public:
  // NOT_FOUND: no such name, or nothing of the kind that is asked for. UNAVAILABLE: a
  // source that could know could not be asked. RESOURCE_EXHAUSTED.
  using Done = std::function<void(absl::StatusOr<HostAnswer>)>;

  // Loads the modules that nsswitch.conf names now.
  explicit HostDatabase(HostDatabaseOptions options);
  // Ends what is under way; nobody is called back after it.
  ~HostDatabase();
  HostDatabase(const HostDatabase&) = delete;
  HostDatabase& operator=(const HostDatabase&) = delete;

  // Calls `done` once, before this returns or on another thread, unless a stop is
  // requested on `stop`; then perhaps. question.give_up is set here.
  void Ask(HostQuestion question, std::stop_token stop, Done done);

  int lookups() const { return lookups_->load(); }

 private:
  class FilesSource;
  class Lookup;

  // Null: a module that cannot be loaded.
  HostSource* FindSource(const std::string& name) ABSL_LOCKS_EXCLUDED(mutex_);

  const HostDatabaseOptions options_;
  // Shared with lookups, the last of which may end after this object.
  const std::shared_ptr<std::atomic<int>> lookups_ = std::make_shared<std::atomic<int>>(0);
  ConfigFile<std::vector<SourceRule>> rules_;
  const std::unique_ptr<HostSource> files_;
  absl::Mutex mutex_;
  absl::flat_hash_map<std::string, std::unique_ptr<ModuleSource>> modules_ ABSL_GUARDED_BY(mutex_);
  ModuleThreads module_threads_;
  // Last, so that its thread ends before anything that it may use is gone.
  DnsSource dns_;
};

}  // namespace capbroker::hosts

#endif  // SERVICES_HOSTS_HOST_DATABASE_H_
