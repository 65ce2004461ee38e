// What was measured, as a table or as one JSON object.
#ifndef BENCH_REPORT_H_
#define BENCH_REPORT_H_

#include <map>
#include <string>
#include <vector>

#include "bench/measure.h"
#include "bench/memory.h"

namespace capbroker::bench {

// A figure at several sizes of something: entries, channels.
struct GrowthPoint {
  int n = 0;
  double p50_us = 0;
  Spread ratio;
  long kib = 0;  // 0: nothing grows there
};

struct Report {
  std::map<std::string, std::string> machine;
  std::map<std::string, Figure> figures;
  ProcessMemory memory;
  ManyWorkers many_workers;
  std::map<std::string, std::vector<GrowthPoint>> growth;
};

std::string ToTable(const Report& report);
std::string ToJson(const Report& report);

}  // namespace capbroker::bench

#endif  // BENCH_REPORT_H_
