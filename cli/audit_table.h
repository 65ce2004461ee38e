// An audit for people: a line for each event.
#ifndef CLI_AUDIT_TABLE_H_
#define CLI_AUDIT_TABLE_H_

#include <string>

#include "capbroker/v1/audit.pb.h"

namespace capbroker::cli {

//   12:00:01.250  worker 3 dns      DENIED    Resolve: names "db.corp", NOT_IN_LIMITS
// Without the end of the line.
std::string TableLine(const v1::AuditEvent& event);

}  // namespace capbroker::cli

#endif  // CLI_AUDIT_TABLE_H_
