#include "bench/report.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"

namespace capbroker::bench {
namespace {

std::map<std::string, long> MemoryFigures(const ProcessMemory& memory) {
  return {{"service_memory", memory.service_kib},
          {"service_memory_wire", memory.service_wire_kib},
          {"service_memory_busy", memory.service_busy_kib},
          {"worker_memory", memory.worker_kib}};
}

std::string Quoted(const std::string& text) {
  return absl::StrCat("\"", absl::StrReplaceAll(text, {{"\\", "\\\\"}, {"\"", "\\\""}}), "\"");
}

std::string FigureToJson(const Figure& figure) {
  std::string json;
  if (figure.has_times) {
    absl::StrAppendFormat(&json, "\"p50_us\": %.3f, \"p99_us\": %.3f, ", figure.p50_us,
                          figure.p99_us);
  }
  if (figure.has_rate) {
    absl::StrAppendFormat(&json, "\"per_s\": %.1f, \"per_s_quartiles\": [%.1f, %.1f], ",
                          figure.per_s.median, figure.per_s.low, figure.per_s.high);
  }
  absl::StrAppendFormat(&json, "\"ratio\": %.4f, \"ratio_quartiles\": [%.4f, %.4f], ",
                        figure.ratio.median, figure.ratio.low, figure.ratio.high);
  absl::StrAppendFormat(&json, "\"cpu_us\": %.3f", figure.cpu_us);
  return json;
}

std::string PointToJson(const GrowthPoint& point) {
  std::string json = absl::StrFormat("{\"n\": %d, \"p50_us\": %.3f", point.n, point.p50_us);
  if (point.ratio.median != 0) {
    absl::StrAppendFormat(&json, ", \"ratio\": %.4f, \"ratio_quartiles\": [%.4f, %.4f]",
                          point.ratio.median, point.ratio.low, point.ratio.high);
  }
  if (point.kib != 0) absl::StrAppendFormat(&json, ", \"kib\": %d", point.kib);
  return json + "}";
}

}  // namespace

std::string ToTable(const Report& report) {
  std::string table;
  for (const auto& [name, value] : report.machine) {
    absl::StrAppendFormat(&table, "%s: %s\n", name, value);
  }
  absl::StrAppendFormat(&table, "%-24s %10s %10s %8s %15s %9s %14s\n", "", "p50 us", "p99 us",
                        "ratio", "quartiles", "cpu us", "per second");
  for (const auto& [name, f] : report.figures) {
    absl::StrAppendFormat(&table, "%-24s", name);
    if (f.has_times) {
      absl::StrAppendFormat(&table, " %10.2f %10.2f", f.p50_us, f.p99_us);
    } else {
      absl::StrAppendFormat(&table, " %10s %10s", "", "");
    }
    absl::StrAppendFormat(&table, " %8.2f %7.2f-%-7.2f %9.2f", f.ratio.median, f.ratio.low,
                          f.ratio.high, f.cpu_us);
    if (f.has_rate) absl::StrAppendFormat(&table, " %14.0f", f.per_s.median);
    absl::StrAppend(&table, "\n");
  }
  for (const auto& [name, kib] : MemoryFigures(report.memory)) {
    absl::StrAppendFormat(&table, "%-24s %10d KiB\n", name, kib);
  }
  const ManyWorkers& many = report.many_workers;
  absl::StrAppendFormat(&table, "%-24s %d of %d answered, %.0f started per second, %d KiB\n",
                        "workers_1000", many.answered, many.workers, many.all_per_s,
                        many.broker_kib);
  for (const auto& [name, points] : report.growth) {
    for (const GrowthPoint& point : points) {
      absl::StrAppendFormat(&table, "%-24s %10d %10.2f us %8.2f %10d KiB\n", name, point.n,
                            point.p50_us, point.ratio.median, point.kib);
    }
  }
  return table;
}

std::string ToJson(const Report& report) {
  std::vector<std::string> members;
  const auto add = [&members](const std::string& name, const std::string& object) {
    members.push_back(absl::StrCat("  ", Quoted(name), ": {", object, "}"));
  };
  add("machine", absl::StrJoin(report.machine, ", ", [](std::string* out, const auto& fact) {
        absl::StrAppend(out, Quoted(fact.first), ": ", Quoted(fact.second));
      }));
  for (const auto& [name, figure] : report.figures) add(name, FigureToJson(figure));
  for (const auto& [name, kib] : MemoryFigures(report.memory)) {
    add(name, absl::StrCat("\"kib\": ", kib));
  }
  const ManyWorkers& many = report.many_workers;
  if (many.workers != 0) {
    add("workers_1000",
        absl::StrFormat("\"workers\": %d, \"answered\": %d, \"per_s\": %.1f, \"kib\": %d",
                        many.workers, many.answered, many.all_per_s, many.broker_kib));
  }
  for (const auto& [name, points] : report.growth) {
    add(name, absl::StrCat("\"points\": [",
                           absl::StrJoin(points, ", ",
                                         [](std::string* out, const GrowthPoint& point) {
                                           absl::StrAppend(out, PointToJson(point));
                                         }),
                           "]"));
  }
  return absl::StrCat("{\n", absl::StrJoin(members, ",\n"), "\n}\n");
}

}  // namespace capbroker::bench
