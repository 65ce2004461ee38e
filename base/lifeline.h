// Dying with another process, whatever kills it.
//
// A lifeline is a socketpair. The process that is to die *holds on* to one end;
// whoever it depends on keeps the other and never writes to it. When the last
// duplicate of the kept end is closed (which the kernel does at any death, by any
// signal, at any moment) the kernel sends SIGKILL to the process that holds on,
// also when that one is stopped or spins.
//
//   ASSIGN(Lifeline line, MakeLifeline());
//   if (child) { line.kept.Reset(); DieWithLifeline(std::move(line.held)); ... }
//   else       { line.held.Reset(); keep(std::move(line.kept)); }
//
// The naive alternatives: PR_SET_PDEATHSIG follows the parent *thread*, is
// forgotten at some changes of credentials, and misses a parent that was gone before it
// was asked for; end of file on a pipe has to be read by a process that may
// no longer be able to.
//
// The init of a PID namespace is immune to signals from inside itself and needs
// another way (sandbox/init.h).
//
// Runs in every process of the broker's tree.
#ifndef BASE_LIFELINE_H_
#define BASE_LIFELINE_H_

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/unique_fd.h"

namespace capbroker {

struct Lifeline {
  UniqueFd kept;  // for the process that is depended on
  UniqueFd held;  // for the one that is to die with it
};

// Both ends close-on-exec.
absl::StatusOr<Lifeline> MakeLifeline();

// Arms `held` for the calling process and keeps it open for good. Does not return
// if the other end is gone already. Does only what a child of a threaded process
// may do before it executes a program, and stays armed across execve() if the
// descriptor does.
absl::Status DieWithLifeline(UniqueFd held);

}  // namespace capbroker

#endif  // BASE_LIFELINE_H_
