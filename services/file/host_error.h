// What a worker may hear of an error: a code and a few words of our own. Errno
// text and host paths stay in the service process.
//
// Lives in: the service process. Thread-safe: functions without state.
#ifndef SERVICES_FILE_HOST_ERROR_H_
#define SERVICES_FILE_HOST_ERROR_H_

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace capbroker::file {

// PERMISSION_DENIED with the denial OBJECT_REFUSED: what was found is not allowed
// by the limits field `field`.
absl::Status RefuseObject(absl::string_view field);

// The status of a system call on a granted path that failed with `error_number`.
// The host saying no, and a way that leaves the granted directory, are refusals
// of "paths".
absl::Status HostError(int error_number);

}  // namespace capbroker::file

#endif  // SERVICES_FILE_HOST_ERROR_H_
