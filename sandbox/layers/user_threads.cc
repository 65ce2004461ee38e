#include "sandbox/layers/user_threads.h"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/unique_fd.h"

namespace capbroker::sandbox {
namespace {

// 0: they are of somebody else, or gone. Who owns the folder does not tell: root owns that of a
// process that must not be inspected.
uint32_t ThreadsOfProcess(FdRef proc, const char* process, uid_t uid) {
  const UniqueFd status(
      openat(proc.get(), absl::StrCat(process, "/status").c_str(), O_RDONLY | O_CLOEXEC));
  char text[4096] = {};
  if (!status.valid() || read(status.get(), text, sizeof text - 1) <= 0) return 0;
  const char* const ids = std::strstr(text, "\nUid:");
  const char* const threads = std::strstr(text, "\nThreads:");
  unsigned real = 0, count = 0;
  if (ids == nullptr || threads == nullptr || std::sscanf(ids, "\nUid: %u", &real) != 1 ||
      std::sscanf(threads, "\nThreads: %u", &count) != 1) {
    return 0;
  }
  return real == uid ? count : 0;
}

}  // namespace

uint32_t ThreadsOfUser(uid_t uid) {
  const std::unique_ptr<DIR, int (*)(DIR*)> proc(opendir("/proc"), closedir);
  if (proc == nullptr) return 0;
  uint32_t threads = 0;
  while (const dirent* entry = readdir(proc.get())) {
    if (entry->d_name[0] < '1' || entry->d_name[0] > '9') continue;
    threads += ThreadsOfProcess(FdRef::FromRaw(dirfd(proc.get())), entry->d_name, uid);
  }
  return threads;
}

}  // namespace capbroker::sandbox
