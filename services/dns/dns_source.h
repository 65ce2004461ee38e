// The source "dns" of nsswitch.conf(5): name servers, with search domains.
//
// Lives in: the service process. Thread-safe.
#ifndef SERVICES_DNS_DNS_SOURCE_H_
#define SERVICES_DNS_DNS_SOURCE_H_

#include <memory>
#include <stop_token>
#include <string>

#include "services/dns/config_file.h"
#include "services/dns/host_source.h"
#include "services/dns/name_servers.h"
#include "services/dns/resolv_conf.h"

namespace capbroker::dns {

class DnsSource : public HostSource {
 public:
  explicit DnsSource(std::string resolv_conf_path);

  void Ask(std::shared_ptr<const HostQuestion> question, std::stop_token stop, Done done) override;

 private:
  class Search;
  ConfigFile<ResolvConf> conf_;
  NameServers servers_;
};

}  // namespace capbroker::dns

#endif  // SERVICES_DNS_DNS_SOURCE_H_
