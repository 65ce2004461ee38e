// The least limits that would have allowed what an audit in learn mode has seen, as text format.
//
// Every value that a channel was used with becomes an entry of its limits: nothing is made
// wider than it was used, so that what is written is what was needed and not what somebody guesses.
//
// Lives in: `capbroker audit`.
#ifndef CLI_LEARNED_LIMITS_H_
#define CLI_LEARNED_LIMITS_H_

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <tuple>

#include "capbroker/v1/audit.pb.h"
#include "capbroker/v1/authority.pb.h"

namespace capbroker::cli {

class LearnedLimits {
 public:
  void Add(const v1::AuditEvent& event);

  // One block for every grant of every worker: a comment that says whose it is, then the
  // limits, with a comment for what is missing.
  std::string ToText() const;

 private:
  struct Field {
    v1::LimitKind kind = v1::LIMIT_KIND_UNSPECIFIED;
    std::set<std::string> entries;
    uint64_t number = 0;  // MAXIMUM, FLAGS
  };
  struct Grant {
    std::map<std::string, Field> fields;
    uint64_t missing = 0;
    uint64_t denied = 0;
  };
  static void Merge(const v1::AuditEvent::Value& value, Field& field);

  // By worker, grant and service.
  std::map<std::tuple<uint64_t, std::string, std::string>, Grant> grants_;
};

}  // namespace capbroker::cli

#endif  // CLI_LEARNED_LIMITS_H_
