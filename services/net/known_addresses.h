// Which address was given to a family for which name.
//
// Lives in: the service process, one per family. Thread-safe.
#ifndef SERVICES_NET_KNOWN_ADDRESSES_H_
#define SERVICES_NET_KNOWN_ADDRESSES_H_

#include <deque>
#include <set>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/functional/function_ref.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "services/hosts/ip_address.h"

namespace capbroker::net {

class KnownAddresses {
 public:
  // Above it, what was remembered first is forgotten.
  static constexpr size_t kMost = 4096;

  void Remember(const hosts::IpAddress& address, absl::string_view name);
  // Whether `address` was given for a name that is `allowed`.
  bool Has(const hosts::IpAddress& address,
           absl::FunctionRef<bool(absl::string_view)> allowed) const;

 private:
  using Entry = std::pair<std::string, std::string>;  // packed address, name
  mutable absl::Mutex mutex_;
  std::set<Entry> entries_ ABSL_GUARDED_BY(mutex_);
  std::deque<Entry> order_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace capbroker::net

#endif  // SERVICES_NET_KNOWN_ADDRESSES_H_
