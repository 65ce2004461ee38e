// What /proc tells of processes, and where this one runs.
#ifndef BENCH_PROCESS_FACTS_H_
#define BENCH_PROCESS_FACTS_H_

#include <sys/types.h>

#include <string>
#include <vector>

namespace capbroker::bench {

// For this process and those that it will fork.
void StayOnThisCpu();

// Lets all threads of `process` run on other CPUs than that on which this thread is. False: there
// are none.
bool LetRunElsewhere(pid_t process);

// Where `name` is that is installed with this program.
std::string BesideThisProgram(const std::string& name);

// KiB that only this process has: private clean and dirty pages of smaps_rollup.
long PrivateKib(pid_t process);

// The children of `process`, and theirs.
std::vector<pid_t> DescendantsOf(pid_t process);

}  // namespace capbroker::bench

#endif  // BENCH_PROCESS_FACTS_H_
