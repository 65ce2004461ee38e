// What an attacking worker of a broker runs: the attack of the scene that is its input, with the
// lane of its grant "probe".
//
// Lives in: workers, forked and executed.
#ifndef TESTS_HOSTILE_WORKER_ATTACKER_H_
#define TESTS_HOSTILE_WORKER_ATTACKER_H_

#include "client/grants.h"

namespace capbroker::hostile {

int RunAttacker(Grants grants);

}  // namespace capbroker::hostile

#endif  // TESTS_HOSTILE_WORKER_ATTACKER_H_
