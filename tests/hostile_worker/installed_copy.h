// Copies of programs where every user may execute them, as if they had been installed. They go with
// the test.
//
// Lives in: tests.
#ifndef TESTS_HOSTILE_WORKER_INSTALLED_COPY_H_
#define TESTS_HOSTILE_WORKER_INSTALLED_COPY_H_

#include <string>

namespace capbroker::hostile {

// Of a file of the test's.
std::string InstalledCopy(const std::string& file);

}  // namespace capbroker::hostile

#endif  // TESTS_HOSTILE_WORKER_INSTALLED_COPY_H_
