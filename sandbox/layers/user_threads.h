// How much of RLIMIT_NPROC is used up already: the kernel counts the threads of a user, not of a
// process.
//
// Lives in: the zygote.
#ifndef SANDBOX_LAYERS_USER_THREADS_H_
#define SANDBOX_LAYERS_USER_THREADS_H_

#include <sys/types.h>

#include <cstdint>

namespace capbroker::sandbox {

// Threads that have `uid` as their real id, as far as /proc shows them: of other PID namespaces, it
// does not. Reads a file for each process, about 10 us.
uint32_t ThreadsOfUser(uid_t uid);

}  // namespace capbroker::sandbox

#endif  // SANDBOX_LAYERS_USER_THREADS_H_
