// Interfaces of the kernel that a worker could reach, beside those that the attacks are about: not
// dangerous by themselves, but each is code of the kernel in which the next bug may be, or tells
// something of the machine.
//
// Left out is what no code does without: memory of its own, threads and locks, signals to itself,
// clocks, reading and writing what it was granted, waiting for that, random numbers, who it is
// itself.
//
// Lives in: tests and their workers.
#ifndef TESTS_HOSTILE_WORKER_INTERFACES_H_
#define TESTS_HOSTILE_WORKER_INTERFACES_H_

#include <cstddef>
#include <vector>

#include "tests/hostile_worker/attack.h"

namespace capbroker::hostile {

// As attacks: "succeeded" means within reach.
const std::vector<Attack>& AllInterfaces();

// An attack that FindAttack finds, too: all of them in order, from this one on, until the worker
// dies of one. It says an outcome on each line.
Attack InterfacesFrom(size_t first);

}  // namespace capbroker::hostile

#endif  // TESTS_HOSTILE_WORKER_INTERFACES_H_
