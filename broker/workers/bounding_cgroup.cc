#include "broker/workers/bounding_cgroup.h"

#include <sched.h>
#include <unistd.h>

#include <cstdint>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "base/cgroup.h"
#include "base/status_macros.h"

namespace capbroker::broker {

absl::StatusOr<BoundingCgroup> BoundingCgroup::In(UniqueFd directory) {
  Cgroup cgroup(std::move(directory));
  CB_ASSIGN_OR_RETURN(const std::vector<std::string> controllers, cgroup.EnabledControllers());
  BoundingCgroup bounding;
  bounding.layers.emplace_back("cgroup");
  for (const std::string& controller : controllers) {
    bounding.layers.push_back(absl::StrCat("cgroup ", controller));
  }
  bounding.directory = std::move(cgroup).Take();
  cpu_set_t present;
  // More of them than the set has room for: then fewer looks are later ones.
  bounding.cpus = sched_getaffinity(0, sizeof present, &present) == 0 ? CPU_COUNT(&present) : 1024;
  return bounding;
}

absl::Duration CpuTimeUsed(FdRef cpu_stat) {
  // Its first line: "usage_usec 1234".
  char text[64];
  const ssize_t got = pread(cpu_stat.get(), text, sizeof text, 0);
  absl::string_view line(text, got > 0 ? static_cast<size_t>(got) : 0);
  uint64_t microseconds = 0;
  if (!absl::ConsumePrefix(&line, "usage_usec ") ||
      !absl::SimpleAtoi(line.substr(0, line.find('\n')), &microseconds)) {
    return absl::ZeroDuration();
  }
  return absl::Microseconds(static_cast<int64_t>(microseconds));
}

}  // namespace capbroker::broker
