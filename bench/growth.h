// What grows with the number of channels, of workers, of limits entries, and with the depth of
// directories: the time of a call, and memory.
//
//   growth_channels         one of n channels to one service process is called; KiB of that process
//   growth_limits_entries   a call whose limits have n names; KiB of the service process
//   growth_limits_check     the check of such a call alone, beyond what a broker admits
//   growth_directory_depth  a file n directories beneath the granted one is opened by stub
//   growth_workers          from a worker to the next, up to n of them; KiB of broker and zygote
#ifndef BENCH_GROWTH_H_
#define BENCH_GROWTH_H_

#include <map>
#include <string>
#include <vector>

#include "bench/memory.h"
#include "bench/report.h"
#include "bench/scene.h"

namespace capbroker::bench {

std::map<std::string, std::vector<GrowthPoint>> MeasureGrowth(
    const Scene& scene, const Variant& base, const std::vector<ManyWorkers>& many_workers);

}  // namespace capbroker::bench

#endif  // BENCH_GROWTH_H_
