// A file of the system's configuration, parsed, and read again when it changes.
//
// A resolver that reads its files once answers from yesterday's network, one that
// reads them for every query is slow. So every Get() looks whether the file is
// still the one that was read.
//
// Lives in: the service process. Thread-safe. What Get() gives stays as it is.
#ifndef SERVICES_HOSTS_CONFIG_FILE_H_
#define SERVICES_HOSTS_CONFIG_FILE_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"

namespace capbroker::hosts {

// Which content a file has, as far as stat(2) tells.
struct FileStamp {
  uint64_t device = 0;
  uint64_t inode = 0;
  int64_t size = -1;  // -1: there is no file
  int64_t modified_ns = 0;
  int64_t changed_ns = 0;

  friend bool operator==(const FileStamp&, const FileStamp&) = default;
};

struct FileContent {
  FileStamp stamp;
  // False when the file was changed a moment ago: a change after the reading could
  // leave the same stamp.
  bool settled = false;
  std::string text;
};

// Larger files are not read.
inline constexpr size_t kMaxConfigFileBytes = 64u << 20;

// Nothing when the file may not be looked at. An absent file is an empty one.
std::optional<FileStamp> StampOf(const std::string& path);
std::optional<FileContent> ReadConfigFile(const std::string& path);

template <typename T>
class ConfigFile {
 public:
  using Parser = std::function<T(absl::string_view text)>;

  // Reads nothing yet.
  ConfigFile(std::string path, Parser parse) : path_(std::move(path)), parse_(std::move(parse)) {}

  // The file as it is now. Where it cannot be read (any more), as it was last; if
  // it never could be, like an empty file.
  std::shared_ptr<const T> Get() ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    const std::optional<FileStamp> stamp = StampOf(path_);
    if (parsed_ == nullptr || (stamp.has_value() && (!settled_ || *stamp != stamp_))) {
      Read();
    }
    return parsed_;
  }

 private:
  void Read() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    const std::optional<FileContent> content = ReadConfigFile(path_);
    if (!content.has_value()) {
      if (parsed_ == nullptr) parsed_ = std::make_shared<const T>(parse_(""));
      return;
    }
    parsed_ = std::make_shared<const T>(parse_(content->text));
    stamp_ = content->stamp;
    settled_ = content->settled;
  }

  const std::string path_;
  const Parser parse_;
  absl::Mutex mutex_;
  std::shared_ptr<const T> parsed_ ABSL_GUARDED_BY(mutex_);
  FileStamp stamp_ ABSL_GUARDED_BY(mutex_);
  bool settled_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace capbroker::hosts

#endif  // SERVICES_HOSTS_CONFIG_FILE_H_
