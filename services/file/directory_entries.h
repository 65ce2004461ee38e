// The entries of a directory, read in bounded pieces: as they come, or a page of
// them in the order of their names.
//
// A page begins after a *name* and not at an offset of the kernel's: what an offset
// means is the file system's own affair, not for a caller to choose, and in another
// process, or after a change of the directory, it may mean another place.
//
// Lives in: the service process. One thread at a time.
#ifndef SERVICES_FILE_DIRECTORY_ENTRIES_H_
#define SERVICES_FILE_DIRECTORY_ENTRIES_H_

#include <dirent.h>

#include <cstddef>
#include <memory>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/unique_fd.h"
#include "capbroker/file/v1/file_opener.pb.h"

namespace capbroker::file {

class DirectoryEntries {
 public:
  // Entries of one response of the stream.
  static constexpr int kBatch = 128;
  // Entries of a page: with names of 255 bytes half of the largest response.
  static constexpr size_t kMaxPage = 512;

  // Takes a directory that is open for reading.
  static absl::StatusOr<DirectoryEntries> Read(UniqueFd directory);

  // The next entries but "." and ".."; none at the end.
  absl::StatusOr<v1::ListDirectoryResponse> Next();

  // The `count` first of the names after `after`, of all that Next() has not given.
  // Reads to the end, whatever the count, with memory for `count` entries alone.
  // CANCELLED as soon as `cancelled` says so.
  absl::StatusOr<v1::ListDirectoryPageResponse> Page(absl::string_view after, size_t count,
                                                     absl::FunctionRef<bool()> cancelled);

 private:
  struct Close {
    void operator()(DIR* stream) const { closedir(stream); }
  };
  explicit DirectoryEntries(DIR* stream) : stream_(stream) {}
  // Null at the end.
  absl::StatusOr<const dirent*> ReadEntry();
  std::unique_ptr<DIR, Close> stream_;
};

}  // namespace capbroker::file

#endif  // SERVICES_FILE_DIRECTORY_ENTRIES_H_
