#include "services/file/open_at.h"

#include <linux/openat2.h>

#include <utility>

#include "base/open_how.h"
#include "services/file/host_error.h"

namespace capbroker::file {
namespace {

uint64_t Flags(Resolve resolve) {
  switch (resolve) {
    case Resolve::kAnySymlinks:
      return 0;
    case Resolve::kNoSymlinks:
      return RESOLVE_NO_SYMLINKS;
    case Resolve::kBeneath:
      return RESOLVE_BENEATH;
    case Resolve::kBeneathWithoutSymlinks:
      break;
  }
  return RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS;
}

}  // namespace

absl::StatusOr<UniqueFd> OpenAt(FdRef directory, const std::string& path, uint64_t flags,
                                Resolve resolve, uint64_t mode) {
  Opened opened =
      OpenPath(directory, path.c_str(), {.flags = flags, .mode = mode, .resolve = Flags(resolve)});
  if (opened.fd.valid()) return std::move(opened.fd);
  return HostError(opened.error_number);
}

}  // namespace capbroker::file
