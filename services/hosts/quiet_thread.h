// A thread that takes no signals, and whose start can fail.
//
// Lives in: the service process.
#ifndef SERVICES_HOSTS_QUIET_THREAD_H_
#define SERVICES_HOSTS_QUIET_THREAD_H_

#include <pthread.h>

#include <functional>
#include <optional>
#include <utility>

namespace capbroker::hosts {

// Joined or detached before it is destroyed or assigned to. Move-only.
class QuietThread {
 public:
  // Nothing when the system gives no thread.
  static std::optional<QuietThread> Start(std::function<void()> body);

  QuietThread(QuietThread&& other) noexcept : thread_(std::exchange(other.thread_, std::nullopt)) {}
  QuietThread& operator=(QuietThread&& other) noexcept;
  ~QuietThread();

  void Join();
  // For a body that may never return, and uses only what it owns.
  void Detach();

 private:
  explicit QuietThread(pthread_t thread) : thread_(thread) {}
  std::optional<pthread_t> thread_;
};

}  // namespace capbroker::hosts

#endif  // SERVICES_HOSTS_QUIET_THREAD_H_
