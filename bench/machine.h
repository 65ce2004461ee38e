// What the figures were measured on, and how.
#ifndef BENCH_MACHINE_H_
#define BENCH_MACHINE_H_

#include <map>
#include <string>

#include "bench/options.h"

namespace capbroker::bench {

std::map<std::string, std::string> DescribeMachine(const Options& options);

}  // namespace capbroker::bench

#endif  // BENCH_MACHINE_H_
