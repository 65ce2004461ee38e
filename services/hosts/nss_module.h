// A module of the C library's name service switch (libnss_mymachines.so.2,
// libnss_mdns4.so.2, ...), called directly.
//
// Through getaddrinfo(3) the C library would choose the sources and their order by
// itself, for all threads alike. Called directly, a module is one source among the
// others, and its own words ("unavailable", "not found") can be acted upon.
//
// Lives in: the service process. Loading maps code: before the process is confined.
// Thread-safe, as modules have to be. Calls block.
#ifndef SERVICES_HOSTS_NSS_MODULE_H_
#define SERVICES_HOSTS_NSS_MODULE_H_

#include <memory>
#include <string>

#include "absl/strings/string_view.h"
#include "services/hosts/host_source.h"

namespace capbroker::hosts {

class NssModule {
 public:
  // "myhostname": libnss_myhostname.so.2, in `folder` or, if that is empty, where
  // libraries are. Null when it cannot be loaded, or knows nothing about hosts.
  static std::shared_ptr<const NssModule> Load(absl::string_view name,
                                               const std::string& folder = "");

  HostAnswer Ask(const HostQuestion& question) const;

 private:
  NssModule() = default;
  HostAnswer FindAddresses(const HostQuestion& question) const;
  HostAnswer FindAddressesOf(int family, const std::string& name) const;
  HostAnswer FindNames(const IpAddress& address) const;

  // Functions of the module, by their signatures in <nss.h>; null if it has none.
  void* by_name4_ = nullptr;
  void* by_name3_ = nullptr;
  void* by_name2_ = nullptr;
  void* by_address_ = nullptr;
};

}  // namespace capbroker::hosts

#endif  // SERVICES_HOSTS_NSS_MODULE_H_
