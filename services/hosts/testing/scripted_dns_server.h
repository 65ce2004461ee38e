// A DNS server for tests that does what no real one should: stays silent, fails,
// lies, or sends garbage. It notes what it was asked.
//
// Lives in: test programs.
#ifndef SERVICES_HOSTS_TESTING_SCRIPTED_DNS_SERVER_H_
#define SERVICES_HOSTS_TESTING_SCRIPTED_DNS_SERVER_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "base/unique_fd.h"
#include "services/hosts/dns_message.h"

namespace capbroker::hosts {

class ScriptedDnsServer {
 public:
  struct Query {
    std::string message;
    std::string name;   // in lower case
    std::string asked;  // as it was written
    uint16_t type = 0;
    bool tcp = false;
  };
  // The reply's bytes; nothing: silence. Called by one thread.
  using Script = std::function<std::optional<std::string>(const Query& query)>;

  // Listens on 127.0.0.1, UDP and TCP.
  explicit ScriptedDnsServer(Script script);
  ~ScriptedDnsServer();

  uint16_t port() const { return port_; }
  std::string ResolvConf() const;
  std::vector<Query> Queries() const ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  void Run();
  void AnswerDatagram();
  void AnswerStream();
  std::optional<std::string> Answer(absl::string_view message, bool tcp);

  const Script script_;
  UniqueFd udp_;
  UniqueFd tcp_;
  UniqueFd stop_;
  uint16_t port_ = 0;
  mutable absl::Mutex mutex_;
  std::vector<Query> queries_ ABSL_GUARDED_BY(mutex_);
  std::thread thread_;
};

// One resource record, whose name is the question's unless `owner` says otherwise.
std::string MakeRecord(RecordType type, uint32_t ttl, absl::string_view data,
                       absl::string_view owner = {});
// A name as it is in messages. Its labels may hold any bytes.
std::string EncodeName(absl::string_view name);
// A reply to `query` with these records. Only the header and the question for none.
std::string MakeReply(const ScriptedDnsServer::Query& query, uint8_t rcode,
                      const std::vector<std::string>& records = {}, bool truncated = false);

}  // namespace capbroker::hosts

#endif  // SERVICES_HOSTS_TESTING_SCRIPTED_DNS_SERVER_H_
