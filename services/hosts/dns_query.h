// One question on its way to name servers, with c-ares: matching the answer to the
// question, the next server when one fails, time-outs, TCP after truncation, and
// doing without EDNS where a server does not know it.
//
// Each query has a c-ares channel of its own. So it has a source port of its own,
// which whoever wants to forge an answer has to guess besides the id; an error of
// its socket is its own; and it can be ended alone.
//
// Lives in: the service process. For one thread.
#ifndef SERVICES_HOSTS_DNS_QUERY_H_
#define SERVICES_HOSTS_DNS_QUERY_H_

#include <ares.h>
#include <poll.h>

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "services/hosts/dns_message.h"
#include "services/hosts/resolv_conf.h"

namespace capbroker::hosts {

class DnsQuery {
 public:
  // Sends at once. The servers are asked in the order of `conf`, from
  // `first_server` on. `name` is canonical.
  DnsQuery(std::string name, RecordType type, std::shared_ptr<const ResolvConf> conf,
           size_t first_server);
  ~DnsQuery();
  DnsQuery(const DnsQuery&) = delete;
  DnsQuery& operator=(const DnsQuery&) = delete;

  bool finished() const { return finished_; }
  // NOT_FOUND: no such name or record; UNAVAILABLE: no server could tell (or has yet).
  absl::StatusOr<DnsRecords> TakeResult() { return std::move(result_); }
  // The server that answered when those before it were silent, if there were any.
  std::optional<size_t> answering_server() const { return answering_server_; }

  // How long until Process() is to be called though no packet came.
  absl::Duration Patience() const;
  // Adds the sockets that it waits for.
  void AddPolls(std::vector<pollfd>& polls) const;
  // Reads and writes what `poll` says is ready.
  void Process(const pollfd& poll);
  // Looks at the time.
  void ProcessTimeouts() { ares_process_fd(channel_, ARES_SOCKET_BAD, ARES_SOCKET_BAD); }

 private:
  bool OpenChannel();
  static void OnAnswer(void* query, int status, int timeouts, unsigned char* message, int length);

  const std::string name_;
  const RecordType type_;
  const std::shared_ptr<const ResolvConf> conf_;
  const size_t first_server_;
  ares_channel channel_ = nullptr;
  bool finished_ = false;
  absl::StatusOr<DnsRecords> result_;
  std::optional<size_t> answering_server_;
};

}  // namespace capbroker::hosts

#endif  // SERVICES_HOSTS_DNS_QUERY_H_
