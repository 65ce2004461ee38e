// Grant expressions of the FileOpener, and what keeps it linked.
//
//   .grants = {{"page", capbroker::ReadOnlyFile("/srv/page.html")}}
//
// Lives in: the application. Values; nothing happens until a broker opens them.
#ifndef SERVICES_FILE_GRANTS_H_
#define SERVICES_FILE_GRANTS_H_

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

// Within limits of one's own.
Authority OpenFiles(const file::v1::FileOpenerLimits& limits, bool wire = false);

}  // namespace capbroker

#endif  // SERVICES_FILE_GRANTS_H_
