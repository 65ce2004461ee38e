// Files by path, for workers that have a channel of the FileOpener service.
//
//   file::Files files(*stub);
//   absl::StatusOr<UniqueFd> page = files.OpenForReading("/srv/page.html");
//
// Statuses are those of the service (file_opener.proto), with the denial in them:
// DenialOf() of transport/grpc_status.h.
//
// Lives in: workers, applications. Thread-safe if the stub is. May be used in a
// compromised process.
#ifndef SERVICES_FILE_FILE_CLIENT_H_
#define SERVICES_FILE_FILE_CLIENT_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "base/unique_fd.h"
#include "capbroker/file/v1/file_opener.grpc.pb.h"

namespace capbroker::file {

class Files {
 public:
  // `stub` outlives this. Each call ends after `timeout`.
  explicit Files(v1::FileOpener::StubInterface& stub,
                 absl::Duration timeout = absl::InfiniteDuration())
      : stub_(stub), timeout_(timeout) {}

  absl::StatusOr<UniqueFd> Open(absl::string_view path, v1::Access access) const;
  absl::StatusOr<UniqueFd> OpenForReading(absl::string_view path) const;
  // Nothing: allowed, but absent.
  absl::StatusOr<std::optional<UniqueFd>> TryOpenForReading(absl::string_view path) const;
  // In the order of `paths`; a failure of one is no failure of the others. At
  // most 32.
  absl::StatusOr<std::vector<absl::StatusOr<UniqueFd>>> OpenManyForReading(
      absl::Span<const std::string> paths) const;

  // A regular file that did not exist.
  absl::StatusOr<UniqueFd> Create(absl::string_view path, v1::Access access, uint32_t mode) const;

  // Content in messages, for channels that give no descriptors: RevocableReadOnlyFile.
  //
  // All of a regular file, of at most `max_size` bytes: RESOURCE_EXHAUSTED when it has more.
  // UNAVAILABLE: its name was given to another file meanwhile, or another process answers now; try
  // again.
  absl::StatusOr<std::string> ReadAll(absl::string_view path, size_t max_size = 64 << 20) const;
  // A piece of at most 128 KiB, and of which file it is.
  absl::StatusOr<v1::ReadResponse> ReadAt(absl::string_view path, uint64_t offset,
                                          uint32_t size = 0) const;
  // Into a file that exists, which is not truncated. More than 128 KiB in several calls, which
  // together end after the timeout; another's may come between them.
  absl::Status WriteAt(absl::string_view path, uint64_t offset, absl::string_view content) const;
  absl::Status Append(absl::string_view path, absl::string_view content) const;

  absl::StatusOr<v1::FileStatus> Stat(absl::string_view path) const;
  // About a symlink itself.
  absl::StatusOr<v1::FileStatus> StatSymlink(absl::string_view path) const;
  absl::StatusOr<std::string> ReadLink(absl::string_view path) const;
  absl::StatusOr<std::string> RealPath(absl::string_view path) const;

  // All entries of a directory, in the order of their names' bytes, at most
  // `max_entries` of them: RESOURCE_EXHAUSTED when there are more. An entry that is
  // there all the while is told once. A call for each 512, which together end after
  // the timeout; the service reads the whole directory for each.
  absl::StatusOr<std::vector<v1::ListDirectoryResponse::Entry>> List(
      absl::string_view path, size_t max_entries = 100'000) const;
  // At most 512 entries with names after `after`, and whether there are more.
  absl::StatusOr<v1::ListDirectoryPageResponse> ListPage(absl::string_view path,
                                                         absl::string_view after,
                                                         uint32_t max_entries = 0) const;
  // All entries in the file system's order, read once: for very large directories.
  // Streams, so the channel must allow a wire.
  absl::StatusOr<std::vector<v1::ListDirectoryResponse::Entry>> ListByStream(
      absl::string_view path, size_t max_entries = 100'000) const;

  // A channel for a directory alone, and what the directory is called on it. The
  // descriptor is a lane: for Channel::Adopt(), or to be sent on.
  struct DirectoryChannel {
    UniqueFd lane;
    std::string path;
  };
  absl::StatusOr<DirectoryChannel> OpenDirectory(absl::string_view path) const;

 private:
  absl::StatusOr<v1::FileStatus> Stat(absl::string_view path, bool no_follow) const;
  absl::StatusOr<v1::ListDirectoryPageResponse> ListPage(absl::string_view path,
                                                         absl::string_view after,
                                                         uint32_t max_entries,
                                                         absl::Time deadline) const;
  absl::StatusOr<v1::ReadResponse> ReadAt(absl::string_view path, uint64_t offset, uint32_t size,
                                          absl::Time deadline) const;
  absl::Status Write(absl::string_view path, v1::Access access, uint64_t offset,
                     absl::string_view content) const;

  v1::FileOpener::StubInterface& stub_;
  const absl::Duration timeout_;
};

}  // namespace capbroker::file

#endif  // SERVICES_FILE_FILE_CLIENT_H_
