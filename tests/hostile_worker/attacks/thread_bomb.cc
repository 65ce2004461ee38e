// Threads without end: its bound is 32.
#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/hostile_worker/attack.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene&) {
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, 64 << 10);
  const auto sleep = [](void*) -> void* {
    for (;;) pause();
  };
  for (int i = 0; i < 300; ++i) {
    pthread_t thread;
    const int error = pthread_create(&thread, &attributes, sleep, nullptr);
    if (error != 0) return ErrnoName(error);
  }
  return kSucceeded;
}

const Registered attack({
    .aims_at = "floods",
    .run = Run,
    .refused = "EAGAIN",
});

}  // namespace
}  // namespace capbroker::hostile
