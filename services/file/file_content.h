// A regular file's content in pieces that fit into a message, for those who must not have its
// descriptor, which nobody could take back.
//
// Lives in: the service process. Thread-safe: functions without state.
#ifndef SERVICES_FILE_FILE_CONTENT_H_
#define SERVICES_FILE_FILE_CONTENT_H_

#include <cstddef>
#include <cstdint>
#include <limits>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/unique_fd.h"
#include "capbroker/file/v1/file_opener.pb.h"

namespace capbroker::file {

// With its request or response, half of the largest message.
inline constexpr size_t kMaxPiece = 128 << 10;
// What pieces begin at; the kernel counts with signed numbers.
inline constexpr uint64_t kMaxOffset = std::numeric_limits<int64_t>::max() - kMaxPiece;

// At most `size` bytes, and at most kMaxPiece.
absl::StatusOr<v1::ReadResponse> ReadContent(FdRef file, uint64_t offset, size_t size);

// All of `content`, or a failure. Of a file that is open for appending: at its end.
// RESOURCE_EXHAUSTED also: beyond what this process may write.
absl::Status WriteContent(FdRef file, uint64_t offset, absl::string_view content);

// The same for one file as long as this process lives, and another for any other; not 0. A hash
// under the process's own key: it tells nothing of the host.
absl::StatusOr<uint64_t> IdentityOf(FdRef file);

}  // namespace capbroker::file

#endif  // SERVICES_FILE_FILE_CONTENT_H_
