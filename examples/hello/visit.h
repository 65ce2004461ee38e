// The workers' part. Lives in: workers, confined before their first line here.
#ifndef EXAMPLES_HELLO_VISIT_H_
#define EXAMPLES_HELLO_VISIT_H_

#include "client/grants.h"

namespace capbroker::hello {

// Uses what was granted, then tries what was not; writes a Report to standard output.
int VisitHost(Grants grants);
int VisitFile(Grants grants);

// Tries what a worker does not survive: the system call that the input names.
int TryDeadly(Grants grants);

}  // namespace capbroker::hello

#endif  // EXAMPLES_HELLO_VISIT_H_
