// Workers of a real broker, each with a channel to a service, beside a worker that must go on.
//
// Lives in: tests; RunAttacker in their workers.
#ifndef TESTS_HOSTILE_WORKER_BROKER_ARENA_H_
#define TESTS_HOSTILE_WORKER_BROKER_ARENA_H_

#include <memory>
#include <string>

#include "client/grants.h"
#include "tests/hostile_worker/stage.h"

namespace capbroker::hostile {

std::unique_ptr<Arena> ForkedWorkers();
// Of the program at SetProgram(), whose main calls RunAttacker.
std::unique_ptr<Arena> ExecutedWorkers();
void SetProgram(const std::string& path);

// What an attacking worker runs.
int RunAttacker(Grants grants);

}  // namespace capbroker::hostile

#endif  // TESTS_HOSTILE_WORKER_BROKER_ARENA_H_
