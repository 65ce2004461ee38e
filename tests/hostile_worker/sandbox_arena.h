// Forked workers of the sandbox alone, without a broker: with layers switched off that no host
// forbids by itself.
//
// Lives in: tests.
#ifndef TESTS_HOSTILE_WORKER_SANDBOX_ARENA_H_
#define TESTS_HOSTILE_WORKER_SANDBOX_ARENA_H_

#include <memory>
#include <string>

#include "sandbox/layers/layers.h"
#include "tests/hostile_worker/stage.h"

namespace capbroker::hostile {

// Without the layers in `off`.
std::unique_ptr<Arena> WorkersWithout(sandbox::LayerSet off);
}  // namespace capbroker::hostile

#endif  // TESTS_HOSTILE_WORKER_SANDBOX_ARENA_H_
