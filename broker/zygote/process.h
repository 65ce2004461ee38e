// What every process of the broker's tree does first: shed what the fork gave it.
//
// Lives in: the broker, the zygote, service processes. A process with one thread.
#ifndef BROKER_ZYGOTE_PROCESS_H_
#define BROKER_ZYGOTE_PROCESS_H_

#include <sys/resource.h>

#include <cstdint>
#include <initializer_list>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "base/pid_fd.h"
#include "base/unique_fd.h"

namespace capbroker::broker {

// Every signal has its default action and none is blocked.
void ResetSignals();

// A Ctrl-C in the application's terminal is the application's to answer; its terminal can still be
// written to. The session stays: the scheduler switches between two of them at a price, which calls
// would pay (autogroup, sched(7)).
void LeaveForeground();

// Closes every descriptor above 2 but `kept`.
absl::Status CloseAllBut(std::initializer_list<FdRef> kept);

// Puts /dev/null on 0 and 1; 2 stays, for what a process has to say at its end.
void DropStandardStreams();

// The name in ps and top: what follows the last dot, at most 15 bytes.
void NameProcess(absl::string_view name);

// No core file, and no tracing or reading of its memory by other processes of the
// same user.
void ForbidInspection();

// The limit of descriptors for service processes, under a broker that may have `broker_limit`:
// half of it at most. A process sends no descriptor while its user
// has more of them on their way than its limit (unix(7), ETOOMANYREFS), and so what a
// hostile service can leave on the way never stops the broker.
rlimit ServiceDescriptorLimit(rlim_t broker_limit);

// No variable is set any more, and what the program was started with is erased. What it has
// copied it knows all the same.
void ForgetEnvironment();

// Descriptors that are open here; 0 if that cannot be seen. It is looked at through one that is
// opened beforehand.
void PrepareToCountDescriptors();
uint32_t CountDescriptors();

// One line on standard error, at once and as a whole.
void Log(absl::string_view line);

}  // namespace capbroker::broker

#endif  // BROKER_ZYGOTE_PROCESS_H_
