// Files as the limits of one call grant them. Every method finds the object by
// its granted path without leaving the grant, looks at it, and only then does
// what is asked. Statuses are fit for the worker (host_error.h).
//
// Lives in: the service process; made for a call. `limits` and `reopener` outlive
// it. Thread-safe.
#ifndef SERVICES_FILE_GRANTED_FILES_H_
#define SERVICES_FILE_GRANTED_FILES_H_

#include <sys/stat.h>

#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "authority/limits.h"
#include "base/unique_fd.h"
#include "capbroker/file/v1/file_opener.pb.h"
#include "services/file/object_reopener.h"
#include "services/file/route.h"

namespace capbroker::file {

class GrantedFiles {
 public:
  GrantedFiles(const authority::Limits& limits, const ObjectReopener& reopener)
      : limits_(limits), reopener_(reopener) {}

  struct OpenedFile {
    UniqueFd fd;
    uint64_t size = 0;  // of a regular file
  };
  absl::StatusOr<OpenedFile> Open(absl::string_view path, v1::Access access) const {
    return Open(path, access, Opens::kAllKinds);
  }

  // Pieces of the content of a regular file; file_content.h. It is found and opened anew for each.
  absl::StatusOr<v1::ReadResponse> Read(absl::string_view path, uint64_t offset, size_t size) const;
  // `offset`: none: at the end.
  absl::StatusOr<v1::WriteResponse> Write(absl::string_view path, std::optional<uint64_t> offset,
                                          absl::string_view content) const;

  // A file that did not exist. Unless Keep() is called it is removed again with
  // this object, when the caller cannot be told that it has it.
  class CreatedFile {
   public:
    CreatedFile(UniqueFd fd, Entry entry, const struct stat& status)
        : fd_(std::move(fd)), entry_(std::move(entry)), status_(status) {}
    CreatedFile(CreatedFile&&) = default;
    CreatedFile& operator=(CreatedFile&&) = delete;
    ~CreatedFile();
    UniqueFd TakeFd() { return std::move(fd_); }
    void Keep() { entry_.directory.Reset(); }

   private:
    UniqueFd fd_;
    Entry entry_;
    struct stat status_;
  };
  absl::StatusOr<CreatedFile> Create(absl::string_view path, v1::Access access,
                                     uint32_t mode) const;

  absl::StatusOr<struct stat> Stat(absl::string_view path, FinalSymlink final_symlink) const;

  // The text of a symlink.
  absl::StatusOr<std::string> ReadLink(absl::string_view path) const;

  // The path without symlinks beneath the granted directory.
  absl::StatusOr<std::string> RealPath(absl::string_view path) const;

  // A directory opened for reading its entries, for the service alone.
  absl::StatusOr<UniqueFd> OpenForListing(absl::string_view path) const;

  // The real path of what is a directory granted with all beneath it.
  absl::StatusOr<std::string> RealDirectory(absl::string_view path) const;

 private:
  enum class Opens { kAllKinds, kRegularFiles };
  absl::StatusOr<OpenedFile> Open(absl::string_view path, v1::Access access, Opens opens) const;
  absl::StatusOr<std::string> RealPathOf(const Route& route, FdRef object) const;

  const authority::Limits& limits_;
  const ObjectReopener& reopener_;
};

}  // namespace capbroker::file

#endif  // SERVICES_FILE_GRANTED_FILES_H_
