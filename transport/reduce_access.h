// A descriptor of the same object that may do less.
//
// The access mode belongs to the open file, which sender and receiver of a descriptor share, so
// the only way to hand on less than one has is to open the object again: through
// /proc/self/fd, which follows neither names nor symlinks. dup(2) would share the mode, and
// changing the flags would change the sender's own.
//
// Runs in every process that can see /proc; elsewhere it fails.
#ifndef TRANSPORT_REDUCE_ACCESS_H_
#define TRANSPORT_REDUCE_ACCESS_H_

#include "absl/status/statusor.h"
#include "base/unique_fd.h"
#include "capbroker/v1/authority.pb.h"

namespace capbroker::transport {

// `fd` with the access of `rights` (READ or WRITE) and O_APPEND if these say so, at the same
// position; invalid if `fd` needs no reduction or must not be reopened: what cannot write, for
// one, is not given the right to. FAILED_PRECONDITION: /proc is not visible, or the object's
// mode forbids it.
absl::StatusOr<UniqueFd> ReduceAccess(FdRef fd, const v1::DescriptorRights& rights);

}  // namespace capbroker::transport

#endif  // TRANSPORT_REDUCE_ACCESS_H_
