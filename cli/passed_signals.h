// Passes the signals that this process gets on to a worker, as a terminal or whoever started the
// command means them.
//
// SIGTSTP stops this process as well, after the worker got it. SIGKILL needs no passing: nothing
// of a broker outlives its application.
//
// Lives in: `capbroker run`. Makes a thread.
#ifndef CLI_PASSED_SIGNALS_H_
#define CLI_PASSED_SIGNALS_H_

#include <signal.h>

#include <thread>

#include "client/worker.h"

namespace capbroker::cli {

class PassedSignals {
 public:
  // Keeps them back until there is a worker. Call with a single thread.
  PassedSignals();
  PassedSignals(const PassedSignals&) = delete;
  // After it, what comes is kept back again.
  ~PassedSignals();

  // From now on, and what was kept back, to `worker`, which outlives this.
  void PassTo(Worker& worker);

 private:
  void Pass(Worker& worker);

  sigset_t signals_;
  std::thread thread_;
};

}  // namespace capbroker::cli

#endif  // CLI_PASSED_SIGNALS_H_
