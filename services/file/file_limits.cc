#include "services/file/file_limits.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace capbroker::file {
namespace {

// To have the content, and not the descriptor.
v1::FileOpenerLimits InMessages(v1::FileOpenerLimits limits) {
  std::replace(limits.mutable_operations()->begin(), limits.mutable_operations()->end(),
               static_cast<int>(v1::OPERATION_OPEN), static_cast<int>(v1::OPERATION_READ));
  return limits;
}

}  // namespace

v1::FileOpenerLimits LimitsForReading(absl::Span<const std::string> paths, uint64_t max_size) {
  v1::FileOpenerLimits limits;
  limits.add_operations(v1::OPERATION_OPEN);
  limits.add_operations(v1::OPERATION_STAT);
  for (const std::string& path : paths) {
    limits.add_paths(path);
    limits.add_trusted_roots(path);
  }
  limits.add_accesses(v1::ACCESS_READ);
  limits.add_kinds(v1::FILE_KIND_REGULAR);
  limits.set_max_size(max_size);
  return limits;
}

v1::FileOpenerLimits LimitsForDirectory(absl::string_view directory, DirectoryUse use,
                                        uint64_t max_size) {
  const std::string path = absl::StrCat(directory, absl::EndsWith(directory, "/") ? "" : "/");
  v1::FileOpenerLimits limits = LimitsForReading({path}, max_size);
  limits.add_operations(v1::OPERATION_READLINK);
  limits.add_operations(v1::OPERATION_REAL_PATH);
  limits.add_operations(v1::OPERATION_LIST);
  limits.add_operations(v1::OPERATION_OPEN_DIRECTORY);
  if (use == DirectoryUse::kReadAndWrite) {
    limits.add_operations(v1::OPERATION_CREATE);
    limits.add_accesses(v1::ACCESS_WRITE);
    limits.add_accesses(v1::ACCESS_READ_WRITE);
    limits.add_accesses(v1::ACCESS_APPEND);
    limits.set_modes(0666);
  }
  return limits;
}

v1::FileOpenerLimits LimitsForRevocableReading(absl::Span<const std::string> paths,
                                               uint64_t max_size) {
  return InMessages(LimitsForReading(paths, max_size));
}

v1::FileOpenerLimits LimitsForRevocableDirectory(absl::string_view directory, uint64_t max_size) {
  return InMessages(LimitsForDirectory(directory, DirectoryUse::kRead, max_size));
}

v1::FileOpenerLimits LimitsForRevocableWriting(absl::Span<const std::string> paths,
                                               uint64_t max_size) {
  v1::FileOpenerLimits limits = LimitsForRevocableReading(paths, max_size);
  limits.add_operations(v1::OPERATION_WRITE);
  limits.add_accesses(v1::ACCESS_WRITE);
  limits.add_accesses(v1::ACCESS_APPEND);
  return limits;
}

}  // namespace capbroker::file
