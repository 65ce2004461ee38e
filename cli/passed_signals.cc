#include "cli/passed_signals.h"

#include <pthread.h>
#include <unistd.h>

namespace capbroker::cli {
namespace {

constexpr int kPassed[] = {SIGHUP,  SIGINT,  SIGQUIT, SIGUSR1, SIGUSR2, SIGALRM,
                           SIGTERM, SIGCONT, SIGTSTP, SIGTTIN, SIGTTOU, SIGWINCH};
// Ends the thread; nobody else sends it with this value.
const int kEnd = SIGRTMIN;

}  // namespace

PassedSignals::PassedSignals() {
  sigemptyset(&signals_);
  for (const int signal : kPassed) sigaddset(&signals_, signal);
  sigaddset(&signals_, kEnd);
  pthread_sigmask(SIG_BLOCK, &signals_, nullptr);
}

PassedSignals::~PassedSignals() {
  if (!thread_.joinable()) return;
  pthread_kill(thread_.native_handle(), kEnd);
  thread_.join();
}

void PassedSignals::PassTo(Worker& worker) {
  thread_ = std::thread([this, &worker] { Pass(worker); });
}

void PassedSignals::Pass(Worker& worker) {
  while (true) {
    siginfo_t info;
    const int signal = sigwaitinfo(&signals_, &info);
    if (signal < 0) continue;
    if (signal == kEnd) {
      if (info.si_pid == getpid()) return;
      continue;
    }
    (void)worker.Signal(signal);  // it may have ended
    if (signal == SIGTSTP) kill(getpid(), SIGSTOP);
  }
}

}  // namespace capbroker::cli
