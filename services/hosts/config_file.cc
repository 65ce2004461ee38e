#include "services/hosts/config_file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "base/unique_fd.h"
#include "serving/succession.h"

namespace capbroker::hosts {
namespace {

constexpr int64_t kNsPerSecond = 1'000'000'000;
// Longer than the ticks in which file systems count time.
constexpr int64_t kSettledAfterNs = 50'000'000;

int64_t Nanoseconds(const timespec& time) { return time.tv_sec * kNsPerSecond + time.tv_nsec; }

FileStamp MakeStamp(const struct stat& status) {
  return {.device = status.st_dev,
          .inode = status.st_ino,
          .size = status.st_size,
          .modified_ns = Nanoseconds(status.st_mtim),
          .changed_ns = Nanoseconds(status.st_ctim)};
}

bool IsAbsent(int error) { return error == ENOENT || error == ENOTDIR; }

}  // namespace

std::optional<FileStamp> StampOf(const std::string& path) {
  struct stat status = {};
  if (stat(path.c_str(), &status) == 0) return MakeStamp(status);
  if (IsAbsent(errno)) return FileStamp{};
  return std::nullopt;
}

std::optional<FileContent> ReadConfigFile(const std::string& path) {
  FileContent content;
  // O_NONBLOCK: whatever is there, opening it doesn't wait.
  UniqueFd file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
  if (!file.valid()) {
    if (!IsAbsent(errno)) {
      // Another file than the one that the process may read: its successor reads it.
      if (errno == EACCES) (void)serving::FilesWereReplaced();
      return std::nullopt;
    }
    content.settled = true;
    return content;
  }
  struct stat status = {};
  if (fstat(file.get(), &status) != 0 || !S_ISREG(status.st_mode)) return std::nullopt;
  content.stamp = MakeStamp(status);
  timespec now = {};
  clock_gettime(CLOCK_REALTIME, &now);
  content.settled = std::llabs(Nanoseconds(now) - content.stamp.changed_ns) > kSettledAfterNs &&
                    std::llabs(Nanoseconds(now) - content.stamp.modified_ns) > kSettledAfterNs;
  while (true) {
    char buffer[16384];
    const ssize_t got = read(file.get(), buffer, sizeof(buffer));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return std::nullopt;
    if (got == 0) return content;
    content.text.append(buffer, static_cast<size_t>(got));
    if (content.text.size() > kMaxConfigFileBytes) return std::nullopt;
  }
}

}  // namespace capbroker::hosts
