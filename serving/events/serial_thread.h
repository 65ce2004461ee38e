// A thread that runs one step after another.
//
// Lives in: service processes of proxies, one for each call with a stream of requests.
#ifndef SERVING_EVENTS_SERIAL_THREAD_H_
#define SERVING_EVENTS_SERIAL_THREAD_H_

#include <deque>
#include <functional>
#include <memory>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"

namespace capbroker::serving {

class SerialThread {
 public:
  // RESOURCE_EXHAUSTED: no thread can be had.
  static absl::StatusOr<std::unique_ptr<SerialThread>> Start();
  // Drops the steps that wait, and waits for the one that runs.
  ~SerialThread();
  SerialThread(const SerialThread&) = delete;
  SerialThread& operator=(const SerialThread&) = delete;

  void Run(std::function<void()> step) ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  SerialThread() = default;
  void Work() ABSL_LOCKS_EXCLUDED(mutex_);

  absl::Mutex mutex_;
  absl::CondVar wake_;
  std::deque<std::function<void()>> steps_ ABSL_GUARDED_BY(mutex_);
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace capbroker::serving

#endif  // SERVING_EVENTS_SERIAL_THREAD_H_
