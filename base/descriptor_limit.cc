#include "base/descriptor_limit.h"

#include <utility>

namespace capbroker {

rlim_t RaiseDescriptorLimit() {
  rlimit limit = {};
  (void)getrlimit(RLIMIT_NOFILE, &limit);  // fails for no process's own
  const rlim_t before = std::exchange(limit.rlim_cur, limit.rlim_max);
  return setrlimit(RLIMIT_NOFILE, &limit) == 0 ? limit.rlim_max : before;
}

}  // namespace capbroker
