// The sources of nsswitch.conf(5) that are modules: called on a few threads, so
// that one that blocks does not block the service.
//
// Lives in: the service process. Thread-safe. Starts threads at the first question.
#ifndef SERVICES_HOSTS_MODULE_SOURCE_H_
#define SERVICES_HOSTS_MODULE_SOURCE_H_

#include <functional>
#include <memory>
#include <stop_token>
#include <string>

#include "absl/strings/string_view.h"
#include "services/hosts/host_source.h"
#include "services/hosts/nss_module.h"

namespace capbroker::hosts {

inline constexpr int kModuleThreads = 4;

// The threads, shared by all modules. Their jobs are not waited for at the end: a
// module may block for ever.
class ModuleThreads {
 public:
  ModuleThreads();
  ~ModuleThreads();
  ModuleThreads(const ModuleThreads&) = delete;
  ModuleThreads& operator=(const ModuleThreads&) = delete;

  // Waits for calls of `done` that are under way; afterwards there are none.
  void Stop();

  // Calls `work` on a thread, and `done` with what it gives. `done` is called with
  // kTryAgain instead when `give_up` comes first, while it waits or while it works;
  // not once a stop was requested, nor after Stop(). False when no
  // thread can be had, or after Stop(): then `done` is not called.
  bool Run(std::function<HostAnswer()> work, absl::Time give_up, std::stop_token stop,
           HostSource::Done done);

 private:
  class Pool;
  const std::shared_ptr<Pool> pool_;
};

class ModuleSource : public HostSource {
 public:
  // `threads` outlives this.
  ModuleSource(std::shared_ptr<const NssModule> module, ModuleThreads* threads)
      : module_(std::move(module)), threads_(threads) {}

  void Ask(std::shared_ptr<const HostQuestion> question, std::stop_token stop, Done done) override;

 private:
  const std::shared_ptr<const NssModule> module_;
  ModuleThreads* const threads_;
};

}  // namespace capbroker::hosts

#endif  // SERVICES_HOSTS_MODULE_SOURCE_H_
