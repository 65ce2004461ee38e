// `capbroker audit`: reads the audit files that client/audit_file.h writes.
#ifndef CLI_AUDIT_COMMAND_H_
#define CLI_AUDIT_COMMAND_H_

#include <ostream>
#include <string>
#include <vector>

namespace capbroker::cli {

inline constexpr char kAuditUsage[] =
    "capbroker audit [--worker=N] [--denied] [--learn] FILE...\n"
    "  Prints the events of audit files (JSON lines), oldest first as given; \"-\" is the standard "
    "input.\n"
    "  --worker=N  of that worker alone\n"
    "  --denied    what was denied, revoked, violated or left out, and nothing else\n"
    "  --learn     in place of events the least limits that would have allowed them, as text "
    "format:\n"
    "              needs an audit that was started with AuditOptions::learn\n";

// The exit status: 0, 1 when a file cannot be read or holds something else, 2 for bad usage.
int RunAudit(const std::vector<std::string>& arguments, std::ostream& out, std::ostream& errors);

}  // namespace capbroker::cli

#endif  // CLI_AUDIT_COMMAND_H_
