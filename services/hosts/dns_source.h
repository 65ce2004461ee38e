// The source "dns" of nsswitch.conf(5): name servers, with search domains.
//
// Lives in: the service process. Thread-safe.
#ifndef SERVICES_HOSTS_DNS_SOURCE_H_
#define SERVICES_HOSTS_DNS_SOURCE_H_

#include <memory>
#include <stop_token>
#include <string>

#include "services/hosts/config_file.h"
#include "services/hosts/host_source.h"
#include "services/hosts/name_servers.h"
#include "services/hosts/resolv_conf.h"

namespace capbroker::hosts {

class DnsSource : public HostSource {
 public:
  explicit DnsSource(std::string resolv_conf_path);

  void Ask(std::shared_ptr<const HostQuestion> question, std::stop_token stop, Done done) override;

 private:
  class Search;
  ConfigFile<ResolvConf> conf_;
  NameServers servers_;
};

}  // namespace capbroker::hosts

#endif  // SERVICES_HOSTS_DNS_SOURCE_H_
