#include "services/file/file_content.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string>

#include "authority/keyed_hash.h"
#include "base/status_macros.h"
#include "services/file/host_error.h"

namespace capbroker::file {
namespace {

constexpr uint64_t kTellsIdentities = 1;  // apart from what else is hashed

template <typename Number>
void AppendBytes(Number number, std::string& bytes) {
  bytes.append(reinterpret_cast<const char*>(&number), sizeof number);
}

}  // namespace

absl::StatusOr<v1::ReadResponse> ReadContent(FdRef file, uint64_t offset, size_t size) {
  v1::ReadResponse piece;
  CB_ASSIGN_OR_RETURN(const uint64_t identity, IdentityOf(file));
  piece.set_file(identity);
  if (offset > kMaxOffset) {
    piece.set_at_end(true);
    return piece;
  }
  std::string& content = *piece.mutable_content();
  // One more tells whether there is more.
  const size_t wanted = std::min(size, kMaxPiece);
  content.resize(wanted + 1);
  size_t filled = 0;
  while (filled < content.size()) {
    const ssize_t got = pread(file.get(), content.data() + filled, content.size() - filled,
                              static_cast<off_t>(offset + filled));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return HostError(errno);
    if (got == 0) break;
    filled += static_cast<size_t>(got);
  }
  piece.set_at_end(filled <= wanted);
  content.resize(std::min(filled, wanted));
  return piece;
}

absl::Status WriteContent(FdRef file, uint64_t offset, absl::string_view content) {
  // The kernel would end the process with a signal.
  rlimit most = {};
  if (getrlimit(RLIMIT_FSIZE, &most) != 0 || offset + content.size() > most.rlim_cur) {
    return HostError(ENOSPC);
  }
  while (!content.empty()) {
    const ssize_t written =
        pwrite(file.get(), content.data(), content.size(), static_cast<off_t>(offset));
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return HostError(errno);
    content.remove_prefix(static_cast<size_t>(written));
    offset += static_cast<uint64_t>(written);
  }
  return absl::OkStatus();
}

absl::StatusOr<uint64_t> IdentityOf(FdRef file) {
  struct statx status = {};
  if (statx(file.get(), "", AT_EMPTY_PATH, STATX_INO | STATX_BTIME, &status) != 0) {
    return HostError(errno);
  }
  // A file system gives a number anew when its file is gone, but not its moment of birth.
  std::string bytes;
  AppendBytes(status.stx_dev_major, bytes);
  AppendBytes(status.stx_dev_minor, bytes);
  AppendBytes(status.stx_ino, bytes);
  AppendBytes(status.stx_btime.tv_sec, bytes);
  AppendBytes(status.stx_btime.tv_nsec, bytes);
  return std::max<uint64_t>(
      1, authority::SipHash13(authority::ProcessHashKey(), bytes, kTellsIdentities));
}

}  // namespace capbroker::file
