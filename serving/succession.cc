#include "serving/succession.h"

#include <sys/stat.h>

#include <tuple>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"

namespace capbroker::serving {
namespace {

using Identity = std::tuple<bool, dev_t, ino_t>;

// As it is opened: symlinks are followed.
Identity IdentityOf(const std::string& path) {
  struct stat status;
  if (stat(path.c_str(), &status) != 0) return {};
  return {true, status.st_dev, status.st_ino};
}

struct Watched {
  absl::Mutex mutex;
  std::vector<std::pair<std::string, Identity>> places ABSL_GUARDED_BY(mutex);
  std::function<void()> give_way ABSL_GUARDED_BY(mutex);
  bool replaced ABSL_GUARDED_BY(mutex) = false;
};

Watched& Process() {
  static auto* const watched = new Watched;
  return *watched;
}

}  // namespace

void WatchForSuccession(const std::vector<std::string>& paths, std::function<void()> give_way) {
  Watched& process = Process();
  absl::MutexLock lock(&process.mutex);
  process.places.clear();
  for (const std::string& path : paths) process.places.emplace_back(path, IdentityOf(path));
  process.give_way = std::move(give_way);
}

bool FilesWereReplaced() {
  Watched& process = Process();
  absl::MutexLock lock(&process.mutex);
  if (process.replaced) return true;
  for (const auto& [path, identity] : process.places) {
    if (IdentityOf(path) == identity) continue;
    process.replaced = true;
    process.give_way();
    return true;
  }
  return false;
}

}  // namespace capbroker::serving
