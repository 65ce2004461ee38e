// Timers without end: each takes a place for a signal.
#include <sys/syscall.h>
#include <unistd.h>

#include <csignal>
#include <ctime>

#include "tests/hostile_worker/attack.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene&) {
  sigevent event = {};
  event.sigev_notify = SIGEV_SIGNAL;
  event.sigev_signo = SIGUSR1;
  for (int i = 0; i < 2000; ++i) {
    timer_t timer;
    if (timer_create(CLOCK_MONOTONIC, &event, &timer) != 0) return Result(-1);
  }
  return kSucceeded;
}

const Registered attack({
    .aims_at = "floods",
    .run = Run,
    .refused = "EPERM",
    .executed = "EAGAIN",
    .run_alone = "EAGAIN",
});

}  // namespace
}  // namespace capbroker::hostile
