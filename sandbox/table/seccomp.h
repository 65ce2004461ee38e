// The kernel's side of a table: installing the filter, and hearing of
// violations. Raw system calls; nothing here decides anything.
//
// Lives in: init (listening) and worker (installing).
#ifndef SANDBOX_TABLE_SECCOMP_H_
#define SANDBOX_TABLE_SECCOMP_H_

#include <linux/filter.h>
#include <linux/seccomp.h>

#include <optional>

#include "absl/types/span.h"
#include "base/unique_fd.h"
#include "sandbox/step_result.h"

namespace capbroker::sandbox {

// Installs `program` for the calling thread and its children, forever.
StepResult InstallFilter(absl::Span<const sock_filter> program);

// The same, and opens the listener that gets the calls which end in
// SECCOMP_RET_USER_NOTIF. EBUSY: an older filter of this process has a listener
// already.
StepResult InstallFilterWithListener(absl::Span<const sock_filter> program, UniqueFd& listener);

// The next violation; nothing if the caller went away meanwhile. It is never
// answered: the stopped thread stays stopped until it is killed.
std::optional<seccomp_data> ReceiveViolation(FdRef listener);

}  // namespace capbroker::sandbox

#endif  // SANDBOX_TABLE_SECCOMP_H_
