#include "services/hosts/quiet_thread.h"

#include <signal.h>

#include <memory>

#include "absl/base/internal/raw_logging.h"

namespace capbroker::hosts {
namespace {

void* RunBody(void* body) {
  const std::unique_ptr<std::function<void()>> owned(static_cast<std::function<void()>*>(body));
  (*owned)();
  return nullptr;
}

}  // namespace

std::optional<QuietThread> QuietThread::Start(std::function<void()> body) {
  auto owned = std::make_unique<std::function<void()>>(std::move(body));
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  pthread_t thread;
  const int error = pthread_create(&thread, nullptr, &RunBody, owned.get());
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (error != 0) return std::nullopt;
  static_cast<void>(owned.release());
  return QuietThread(thread);
}

QuietThread& QuietThread::operator=(QuietThread&& other) noexcept {
  ABSL_RAW_CHECK(!thread_.has_value(), "assigned to a running thread");
  thread_ = std::exchange(other.thread_, std::nullopt);
  return *this;
}

QuietThread::~QuietThread() { ABSL_RAW_CHECK(!thread_.has_value(), "a thread was forgotten"); }

void QuietThread::Join() {
  pthread_join(*thread_, nullptr);
  thread_.reset();
}

void QuietThread::Detach() {
  pthread_detach(*thread_);
  thread_.reset();
}

}  // namespace capbroker::hosts
