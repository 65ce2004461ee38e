#include "services/file/directory_entries.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <utility>

#include "absl/strings/string_view.h"
#include "services/file/host_error.h"
#include "services/file/object_checks.h"

namespace capbroker::file {
namespace {

// The kind of `entry` itself. Of one that has just been removed: unspecified.
v1::FileKind KindOfEntry(DIR* stream, const dirent& entry) {
  if (entry.d_type != DT_UNKNOWN) return KindOf(DTTOIF(entry.d_type));
  struct stat status = {};
  if (fstatat(dirfd(stream), entry.d_name, &status, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT) != 0) {
    return v1::FILE_KIND_UNSPECIFIED;
  }
  return KindOf(status.st_mode);
}

}  // namespace

absl::StatusOr<DirectoryEntries> DirectoryEntries::Read(UniqueFd directory) {
  DIR* const stream = fdopendir(directory.get());
  if (stream == nullptr) return HostError(errno);
  (void)std::move(directory).Release();  // the stream's now
  return DirectoryEntries(stream);
}

absl::StatusOr<v1::ListDirectoryResponse> DirectoryEntries::Next() {
  v1::ListDirectoryResponse batch;
  while (batch.entries_size() < kBatch) {
    errno = 0;
    const dirent* const entry = readdir(stream_.get());
    if (entry == nullptr) {
      // ENOENT: the directory was removed while it was read.
      if (errno != 0 && errno != ENOENT) return HostError(errno);
      break;
    }
    const absl::string_view name = entry->d_name;
    if (name == "." || name == "..") continue;
    v1::ListDirectoryResponse::Entry& told = *batch.add_entries();
    told.set_name(std::string(name));
    told.set_kind(KindOfEntry(stream_.get(), *entry));
  }
  return batch;
}

}  // namespace capbroker::file
