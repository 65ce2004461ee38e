// A source of what is known about hosts: a file, name servers, a module.
//
// Lives in: the service process.
#ifndef SERVICES_HOSTS_HOST_SOURCE_H_
#define SERVICES_HOSTS_HOST_SOURCE_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "services/hosts/host_name.h"
#include "services/hosts/ip_address.h"
#include "services/hosts/nsswitch.h"

namespace capbroker::hosts {

// What is asked: the addresses of `name`, or the names of `address` if it is set.
struct HostQuestion {
  HostName name;
  bool v4 = false;  // the families that are wanted
  bool v6 = false;
  std::optional<IpAddress> address;

  // Whether a name that a source makes out of `name`, with a search domain, may be
  // asked for. `name` itself may. Called from any thread.
  std::function<bool(absl::string_view)> may_ask;
  absl::Time give_up = absl::InfiniteFuture();
};

struct HostAnswer {
  SourceOutcome outcome = SourceOutcome::kNotFound;
  std::vector<IpAddress> addresses;
  std::vector<std::string> names;
  std::string canonical_name;
  uint32_t ttl_seconds = 0;
};

class HostSource {
 public:
  // Called once, by Ask itself or later on a thread of the source, unless the
  // question was cancelled; then perhaps. Must not block.
  using Done = std::function<void(HostAnswer)>;

  virtual ~HostSource() = default;

  // Never blocks on anything but local files. A stop that is requested on `stop`
  // cancels the question.
  virtual void Ask(std::shared_ptr<const HostQuestion> question, std::stop_token stop,
                   Done done) = 0;
};

}  // namespace capbroker::hosts

#endif  // SERVICES_HOSTS_HOST_SOURCE_H_
