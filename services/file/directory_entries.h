// The entries of a directory, read in bounded pieces.
//
// Lives in: the service process. One thread at a time.
#ifndef SERVICES_FILE_DIRECTORY_ENTRIES_H_
#define SERVICES_FILE_DIRECTORY_ENTRIES_H_

#include <dirent.h>

#include <memory>

#include "absl/status/statusor.h"
#include "base/unique_fd.h"
#include "capbroker/file/v1/file_opener.pb.h"

namespace capbroker::file {

class DirectoryEntries {
 public:
  // Entries of one response.
  static constexpr int kBatch = 128;

  // Takes a directory that is open for reading.
  static absl::StatusOr<DirectoryEntries> Read(UniqueFd directory);

  // The next entries but "." and ".."; none at the end.
  absl::StatusOr<v1::ListDirectoryResponse> Next();

 private:
  struct Close {
    void operator()(DIR* stream) const { closedir(stream); }
  };
  explicit DirectoryEntries(DIR* stream) : stream_(stream) {}
  std::unique_ptr<DIR, Close> stream_;
};

}  // namespace capbroker::file

#endif  // SERVICES_FILE_DIRECTORY_ENTRIES_H_
