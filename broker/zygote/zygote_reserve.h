// A process that forks zygotes, and has nothing else.
//
// It is forked when the broker starts, before there is anything to know, and sleeps. So a
// zygote that replaces another one, when that one's spare is gone as well, has neither the
// broker's memory nor its table, under which no process can be started.
//
//   broker ─┬─ reserve
//           └─ zygote     forked by the reserve, as a child of its parent
//
// Lives in: the broker (the handle), the reserve.
#ifndef BROKER_ZYGOTE_ZYGOTE_RESERVE_H_
#define BROKER_ZYGOTE_ZYGOTE_RESERVE_H_

#include <sys/types.h>

#include <functional>
#include <string>

#include "absl/status/statusor.h"
#include "base/pid_fd.h"
#include "base/unique_fd.h"

namespace capbroker::broker {

// A process that the zygote, or the reserve, has forked.
struct ChildProcess {
  pid_t pid = 0;
  PidFd process;
  std::string layers = {};          // of a service process: what confines it
  UniqueFd cpu_usage = UniqueFd();  // of a worker: v1::ZygoteReport::Forked
};

class ZygoteReserve {
 public:
  // What a zygote's process does; its result is the exit code.
  using RunFunction = std::function<int(UniqueFd control, UniqueFd lifeline)>;

  // Forks it. It dies with this handle, and with the broker.
  static absl::StatusOr<ZygoteReserve> Start(const RunFunction& run);
  ZygoteReserve() = default;  // none

  // A zygote, with the lane on which it obeys and its lifeline. Takes a millisecond.
  // UNAVAILABLE: the reserve is gone.
  absl::StatusOr<ChildProcess> ForkZygote(UniqueFd control, UniqueFd lifeline);

 private:
  UniqueFd requests_;
  UniqueFd lifeline_;
};

}  // namespace capbroker::broker

#endif  // BROKER_ZYGOTE_ZYGOTE_RESERVE_H_
