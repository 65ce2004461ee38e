// Attacks without confinement: that they can succeed at all.
//
// Lives in: tests.
#ifndef TESTS_HOSTILE_WORKER_CONTROL_H_
#define TESTS_HOSTILE_WORKER_CONTROL_H_

#include <string>

#include "tests/hostile_worker/attack.h"

namespace capbroker::hostile {

// The outcome of the attack in a process of the present user, with surroundings of its own and all
// that the user may do, but in a PID, mount, IPC and UTS namespace, so that what succeeds
// there is not done to this machine. For root.
std::string MakeUnconfined(const Attack& attack);

}  // namespace capbroker::hostile

#endif  // TESTS_HOSTILE_WORKER_CONTROL_H_
