#include "services/file/directory_entries.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <functional>
#include <iterator>
#include <map>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "base/status_macros.h"
#include "services/file/host_error.h"
#include "services/file/object_checks.h"

namespace capbroker::file {
namespace {

// How many entries are read between two looks at whether anybody waits.
constexpr size_t kEntriesAtOnce = 1024;

// The kind of the entry itself. Of one that has just been removed: unspecified.
v1::FileKind KindOfEntry(DIR* stream, const char* name, unsigned char type) {
  if (type != DT_UNKNOWN) return KindOf(DTTOIF(type));
  struct stat status = {};
  if (fstatat(dirfd(stream), name, &status, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT) != 0) {
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

absl::StatusOr<const dirent*> DirectoryEntries::ReadEntry() {
  while (true) {
    errno = 0;
    const dirent* const entry = readdir(stream_.get());
    // ENOENT: the directory was removed while it was read.
    if (entry == nullptr && errno != 0 && errno != ENOENT) return HostError(errno);
    if (entry == nullptr) return nullptr;
    const absl::string_view name = entry->d_name;
    if (name != "." && name != "..") return entry;
  }
}

absl::StatusOr<v1::ListDirectoryResponse> DirectoryEntries::Next() {
  v1::ListDirectoryResponse batch;
  while (batch.entries_size() < kBatch) {
    CB_ASSIGN_OR_RETURN(const dirent* entry, ReadEntry());
    if (entry == nullptr) break;
    v1::ListDirectoryResponse::Entry& told = *batch.add_entries();
    told.set_name(entry->d_name);
    told.set_kind(KindOfEntry(stream_.get(), entry->d_name, entry->d_type));
  }
  return batch;
}

absl::StatusOr<v1::ListDirectoryPageResponse> DirectoryEntries::Page(
    absl::string_view after, size_t count, absl::FunctionRef<bool()> cancelled) {
  v1::ListDirectoryPageResponse page;
  // The first names yet, by name: one that is renamed away and back is told once.
  std::map<std::string, unsigned char, std::less<>> first;
  for (size_t read = 0;; ++read) {
    if (read % kEntriesAtOnce == 0 && cancelled()) return absl::CancelledError("cancelled");
    CB_ASSIGN_OR_RETURN(const dirent* entry, ReadEntry());
    if (entry == nullptr) break;
    const absl::string_view name = entry->d_name;
    if (name <= after) continue;
    const bool full = first.size() == count;
    if (full && name > std::prev(first.end())->first) {
      page.set_more(true);
      continue;
    }
    if (!first.emplace(name, entry->d_type).second || !full) continue;
    first.erase(std::prev(first.end()));
    page.set_more(true);
  }
  for (const auto& [name, type] : first) {
    v1::ListDirectoryResponse::Entry& told = *page.add_entries();
    told.set_name(name);
    told.set_kind(KindOfEntry(stream_.get(), name.c_str(), type));
  }
  return page;
}

}  // namespace capbroker::file
