// Does once, in the zygote, what each service process would be the first to do.
//
// Libraries make much at first use: tables of generated messages, registrations of destructors,
// buffers of a thread. A process that is forked afterwards has it all; otherwise each of them
// takes the time, and writes it into pages of its own. The surest way to have everything made is to
// serve a family: one is installed here, asked something on its channel, and closed.
//
// What must be each process's own is not drawn here: the key of its hash tables
// (authority/keyed_hash.h).
//
// Lives in: the zygote. Single-threaded. A matter of cost only: without it nothing else changes.
#ifndef SERVING_PROCESS_REHEARSAL_H_
#define SERVING_PROCESS_REHEARSAL_H_

#include "absl/status/status.h"
#include "serving/process/prepared_service.h"

namespace capbroker::serving {

// Without an object of the service: that may do whatever it likes when it is made.
absl::Status Rehearse(const PreparedService& prepared);

}  // namespace capbroker::serving

#endif  // SERVING_PROCESS_REHEARSAL_H_
