// The probes that interfaces.h puts together, by what they are about.
//
// Lives in: tests and their workers.
#ifndef TESTS_HOSTILE_WORKER_INTERFACE_PROBES_H_
#define TESTS_HOSTILE_WORKER_INTERFACE_PROBES_H_

#include <string>
#include <vector>

#include "tests/hostile_worker/attack.h"

namespace capbroker::hostile {

inline std::string Within(bool reached) { return reached ? kSucceeded : "out of reach"; }
inline Attack Interface(const char* name, std::string (*run)(const Scene&)) {
  return {.name = std::string("interface ") + name, .run = run};
}

// Of other processes, and of what a process is.
std::vector<Attack> ProcessInterfaces();
// Of the descriptors that it has.
std::vector<Attack> DescriptorInterfaces();
// Objects that a system call makes, and memory.
std::vector<Attack> ObjectInterfaces();
// Of the machine: what it is, and how it goes.
std::vector<Attack> MachineInterfaces();
// What is opened by a name, and sockets.
std::vector<Attack> NameInterfaces();

}  // namespace capbroker::hostile

#endif  // TESTS_HOSTILE_WORKER_INTERFACE_PROBES_H_
