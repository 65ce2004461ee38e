// Limits of the FileOpener service for the usual purposes.
//
// Each names the paths as the application has them: they also become
// `trusted_roots`, so that symlinks on the way to them are followed. Paths are
// absolute and in normal form; "/a/b" is that path alone, "/a/b/" that and all
// beneath it. What else is wanted is set on the message that comes back.
//
// Lives in: the application. Thread-safe: functions without state.
#ifndef SERVICES_FILE_FILE_LIMITS_H_
#define SERVICES_FILE_FILE_LIMITS_H_

#include <cstdint>
#include <limits>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "capbroker/file/v1/file_opener.pb.h"

namespace capbroker::file {

inline constexpr uint64_t kAnySize = std::numeric_limits<uint64_t>::max();

// To open regular files for reading, and to ask about them.
v1::FileOpenerLimits LimitsForReading(absl::Span<const std::string> paths,
                                      uint64_t max_size = kAnySize);

enum class DirectoryUse {
  kRead,          // open for reading, list, follow, hand on
  kReadAndWrite,  // also open for writing, and create regular files of mode 0666
};

// To use a directory and what is beneath it, with or without its final slash.
v1::FileOpenerLimits LimitsForDirectory(absl::string_view directory, DirectoryUse use,
                                        uint64_t max_size = kAnySize);

// What a revocation takes back: content travels in messages, and no descriptor is given. To read
// regular files, and to ask about them.
v1::FileOpenerLimits LimitsForRevocableReading(absl::Span<const std::string> paths,
                                               uint64_t max_size = kAnySize);
// The same for a directory and what is beneath it, and to list, follow and hand it on.
v1::FileOpenerLimits LimitsForRevocableDirectory(absl::string_view directory,
                                                 uint64_t max_size = kAnySize);
// To read regular files and to write what is in them, up to a size. They must exist.
v1::FileOpenerLimits LimitsForRevocableWriting(absl::Span<const std::string> paths,
                                               uint64_t max_size);

}  // namespace capbroker::file

#endif  // SERVICES_FILE_FILE_LIMITS_H_
