// The zygote: a single-threaded child of the broker that forks service processes
// and workers.
//
// It holds no channel and keeps no state but the list of its children, so it can be
// replaced at any moment. It does what the broker's commands say, one after
// another (capbroker/v1/zygote.proto), reaps its children, and reports their ends.
//
// Why the broker does not fork by itself: a forked worker shares the memory of
// whoever forks it, and the broker's has the records of all families. For the same
// reason a zygote's first act is to fork a spare, which sleeps until the zygote has died
// (docs/design/processes.md).
//
// Lives in: the zygote. Caller: the broker alone.
#ifndef BROKER_ZYGOTE_ZYGOTE_H_
#define BROKER_ZYGOTE_ZYGOTE_H_

#include <sys/resource.h>

#include <cstdint>

#include "base/unique_fd.h"

namespace capbroker::broker {

struct ZygoteStart {
  UniqueFd control;   // service end of the broker's lane to it
  UniqueFd lifeline;  // held end
  int (*enter_worker)(uint64_t entry) = nullptr;
  rlimit service_descriptors = {};  // RLIMIT_NOFILE of service processes
};

// Sheds what the fork gave it and serves until the broker is gone. Never returns
// to the caller's frames in a child. Returns the exit code.
int RunZygote(ZygoteStart start);

}  // namespace capbroker::broker

#endif  // BROKER_ZYGOTE_ZYGOTE_H_
