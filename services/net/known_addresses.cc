#include "services/net/known_addresses.h"

namespace capbroker::net {

void KnownAddresses::Remember(const hosts::IpAddress& address, absl::string_view name) {
  const Entry entry(address.packed(), name);
  absl::MutexLock lock(&mutex_);
  if (!entries_.insert(entry).second) return;
  order_.push_back(entry);
  if (order_.size() <= kMost) return;
  entries_.erase(order_.front());
  order_.pop_front();
}

bool KnownAddresses::Has(const hosts::IpAddress& address,
                         absl::FunctionRef<bool(absl::string_view)> allowed) const {
  const std::string packed(address.packed());
  absl::MutexLock lock(&mutex_);
  for (auto entry = entries_.lower_bound({packed, ""});
       entry != entries_.end() && entry->first == packed; ++entry) {
    if (allowed(entry->second)) return true;
  }
  return false;
}

}  // namespace capbroker::net
