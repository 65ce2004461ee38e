// Workers of a real broker, each with a channel to a service, beside a worker that must go on.
//
// Lives in: tests.
#ifndef TESTS_HOSTILE_WORKER_BROKER_ARENA_H_
#define TESTS_HOSTILE_WORKER_BROKER_ARENA_H_

#include <memory>
#include <string>

#include "tests/hostile_worker/stage.h"

namespace capbroker::hostile {

std::unique_ptr<Arena> ForkedWorkers();
// The same from spares.
std::unique_ptr<Arena> SpareWorkers();
// Of the program at SetProgram(), whose main calls RunAttacker (attacker.h).
std::unique_ptr<Arena> ExecutedWorkers();
// With a supervisor, and the grant of a directory in which there is nothing that is attacked.
std::unique_ptr<Arena> SupervisedWorkers();
// The program again, as `capbroker run` starts it: with a supervisor, and files in memory.
std::unique_ptr<Arena> RunWorkers();
// The same with the right to fork.
std::unique_ptr<Arena> RunWorkersWithProcesses();
// The first again, with a grant to be a server at Scene::free_port.
std::unique_ptr<Arena> RunServingWorkers();
void SetProgram(const std::string& path);

}  // namespace capbroker::hostile

#endif  // TESTS_HOSTILE_WORKER_BROKER_ARENA_H_
