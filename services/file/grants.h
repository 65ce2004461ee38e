// Grant expressions of the FileOpener, and what keeps it linked.
//
//   .grants = {{"page", capbroker::ReadOnlyFile("/srv/page.html")}}
//
// Lives in: the application. Values; nothing happens until a broker opens them.
#ifndef SERVICES_FILE_GRANTS_H_
#define SERVICES_FILE_GRANTS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "client/grant.h"
#include "services/file/file_limits.h"

namespace capbroker {

// To open these regular files for reading, and to ask about them. Absolute paths.
Authority ReadOnlyFile(const std::string& path);
Authority ReadOnlyFiles(const std::vector<std::string>& paths);

// A directory and all beneath it. Allows a wire: entries are listed as a stream.
Authority ReadOnlyDirectory(const std::string& path);
Authority ReadWriteDirectory(const std::string& path);

// What a revocation takes back, and these do not give: a descriptor is its holder's for good. Here
// content travels in messages, of at most 128 KiB: file::Files::ReadAll and ReadAt, Write and
// Append. See also ReadOnlyFile.
Authority RevocableReadOnlyFile(const std::string& path);
Authority RevocableReadOnlyDirectory(const std::string& path);
// A file that exists; it can be made as large as `max_size` bytes.
Authority RevocableReadWriteFile(const std::string& path, uint64_t max_size);

// Within limits of one's own.
Authority OpenFiles(const file::v1::FileOpenerLimits& limits, bool wire = false);

}  // namespace capbroker

#endif  // SERVICES_FILE_GRANTS_H_
