// Reading what a stopped call's arguments point to, and writing its results.
//
// The worker's other threads can change all of it at any moment. So each string or
// structure is copied once, and what is decided is decided on the copy.
//
// Lives in: the supervisor. The kernel lets it: same real uid, a Landlock domain that is an
// ancestor of the worker's, and a worker that is dumpable.
#ifndef SANDBOX_SUPERVISOR_WORKER_MEMORY_H_
#define SANDBOX_SUPERVISOR_WORKER_MEMORY_H_

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <string>

namespace capbroker::sandbox {

class WorkerMemory {
 public:
  explicit WorkerMemory(pid_t thread) : thread_(thread) {}

  // All of them return 0 or an errno.

  // A path with its end within PATH_MAX. ENAMETOOLONG: it has none.
  int ReadPath(uint64_t address, std::string& path) const;
  int Read(uint64_t address, void* data, size_t size) const;
  int Write(uint64_t address, const void* data, size_t size) const;

 private:
  const pid_t thread_;
};

}  // namespace capbroker::sandbox

#endif  // SANDBOX_SUPERVISOR_WORKER_MEMORY_H_
