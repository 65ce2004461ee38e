// The two errors of capability mode, as FreeBSD's Capsicum names them.
//
// Linux has neither, so the numbers are those that Capsicum's port to Linux gave them,
// the first two above EHWPOISON. A C library has no text for them ("Unknown error 135").
// That is on purpose: ENOENT would say that a file is missing which is only not
// granted, and EACCES that its mode forbids it. Whoever merely probes (the loader's cache,
// locales, optional configuration) takes any error for "go on without". Who does not can
// be started with Refusal::kAccess (file_grant.h).
//
// Runs in every process.
#ifndef SANDBOX_SUPERVISOR_CAPABILITY_ERRNO_H_
#define SANDBOX_SUPERVISOR_CAPABILITY_ERRNO_H_

namespace capbroker::sandbox {

// The call names something of a kind that the worker cannot be granted.
inline constexpr int kEcapmode = 134;
// No grant covers the name, or the access that is asked for.
inline constexpr int kEnotcapable = 135;

}  // namespace capbroker::sandbox

#endif  // SANDBOX_SUPERVISOR_CAPABILITY_ERRNO_H_
