#include "serving/events/serial_thread.h"

#include <system_error>
#include <utility>

namespace capbroker::serving {

absl::StatusOr<std::unique_ptr<SerialThread>> SerialThread::Start() {
  std::unique_ptr<SerialThread> made(new SerialThread);
  try {
    made->thread_ = std::thread([thread = made.get()] { thread->Work(); });
  } catch (const std::system_error&) {
    return absl::ResourceExhaustedError("no thread for the call");
  }
  return made;
}

SerialThread::~SerialThread() {
  {
    absl::MutexLock lock(&mutex_);
    stopped_ = true;
    wake_.Signal();
  }
  if (thread_.joinable()) thread_.join();
}

void SerialThread::Run(std::function<void()> step) {
  absl::MutexLock lock(&mutex_);
  steps_.push_back(std::move(step));
  wake_.Signal();
}

void SerialThread::Work() {
  while (true) {
    std::function<void()> step;
    {
      absl::MutexLock lock(&mutex_);
      while (!stopped_ && steps_.empty()) wake_.Wait(&mutex_);
      if (stopped_) return;
      step = std::move(steps_.front());
      steps_.pop_front();
    }
    step();
  }
}

}  // namespace capbroker::serving
