// What `capbroker run` says of a run: each refusal with its reason, and how it ended.
//
// TRUST(worker): names are the program's; what arrives here is escaped
// (broker/families/audit_trail.h).
#ifndef CLI_RUN_REPORT_H_
#define CLI_RUN_REPORT_H_

#include <string>

#include "capbroker/v1/audit.pb.h"
#include "client/worker.h"

namespace capbroker::cli {

// One line; empty: the event is no refusal, or of something that is not there anyway.
std::string Explain(const v1::AuditEvent& event);

// One line; empty: there is nothing to say that the exit status does not.
std::string ExplainEnd(const WorkerEnd& end);

}  // namespace capbroker::cli

#endif  // CLI_RUN_REPORT_H_
