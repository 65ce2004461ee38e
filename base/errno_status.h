// Errors of system calls as absl::Status, in one place, so that the same errno
// means the same code everywhere. Runs in every process.
#ifndef BASE_ERRNO_STATUS_H_
#define BASE_ERRNO_STATUS_H_

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace capbroker {

// The code of STYLE's table that `error_number` means, and the message
// "<what>: <strerror>". For the process's own log: a service that answers a
// worker chooses its own words, since errno text can tell about the host.
// `what` is lower case, without a period: "open control socket".
absl::Status ErrnoToStatus(int error_number, absl::string_view what);

}  // namespace capbroker

#endif  // BASE_ERRNO_STATUS_H_
