// The policy that would have granted what a run in learn mode has named.
//
// What was used becomes a grant, no wider than it was used, as long as they are few: a program
// that opens many files of one directory gets the directory, for reading. A file that was
// created needs the directory in which it was, and one that was only looked at is not granted.
// Which name an address came from cannot be seen: all hosts are granted with all ports.
#ifndef CLI_LEARNED_POLICY_H_
#define CLI_LEARNED_POLICY_H_

#include <cstdint>
#include <map>
#include <set>
#include <string>

#include "capbroker/v1/audit.pb.h"
#include "cli/run_policy.pb.h"

namespace capbroker::cli {

class LearnedPolicy {
 public:
  void Add(const v1::AuditEvent& event);

  // `policy` is what the run had been told, beside its files.
  run::v1::RunPolicy Policy(run::v1::RunPolicy policy) const;

  // The same as text, with a comment for what could not be learned.
  std::string ToText(const run::v1::RunPolicy& policy) const;

 private:
  // "example.org", "192.0.2.1:443"
  void AddHost(const std::string& name);

  std::set<std::string> look_;
  std::set<std::string> read_;
  std::set<std::string> write_;
  std::set<std::string> hosts_;      // that were looked up
  std::set<std::string> addresses_;  // that were connected to
  std::set<std::string> ports_;
  std::set<std::string> servers_;  // that it was: "127.0.0.1:8080"
  uint64_t missing_ = 0;
};

}  // namespace capbroker::cli

#endif  // CLI_LEARNED_POLICY_H_
