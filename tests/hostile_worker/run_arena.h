// Programs as `capbroker run` starts them: by the command itself, with what a shell would give it.
//
// Lives in: a stage's process.
#ifndef TESTS_HOSTILE_WORKER_RUN_ARENA_H_
#define TESTS_HOSTILE_WORKER_RUN_ARENA_H_

#include <memory>
#include <string>
#include <vector>

#include "tests/hostile_worker/stage.h"

namespace capbroker::hostile {

// The command, and the program that attacks: where everybody may execute them.
void SetRun(const std::string& capbroker, const std::string& program);

// Each attack is made by a program with `options` of the command.
std::unique_ptr<Arena> ProgramsRunWith(std::vector<std::string> options);

}  // namespace capbroker::hostile

#endif  // TESTS_HOSTILE_WORKER_RUN_ARENA_H_
