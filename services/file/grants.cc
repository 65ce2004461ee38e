#include "services/file/grants.h"

#include "capbroker/file/v1/file_opener.dispatch.h"
#include "services/file/file_opener.h"
#include "services/service.h"

namespace capbroker {

Authority ReadOnlyFile(const std::string& path) { return ReadOnlyFiles({path}); }

Authority ReadOnlyFiles(const std::vector<std::string>& paths) {
  return OpenFiles(file::LimitsForReading(paths));
}

Authority ReadOnlyDirectory(const std::string& path) {
  return OpenFiles(file::LimitsForDirectory(path, file::DirectoryUse::kRead), /*wire=*/true);
}

Authority ReadWriteDirectory(const std::string& path) {
  return OpenFiles(file::LimitsForDirectory(path, file::DirectoryUse::kReadAndWrite),
                   /*wire=*/true);
}

Authority OpenFiles(const file::v1::FileOpenerLimits& limits, bool wire) {
  return Serve<file::FileOpenerService>(limits, {.wire = wire});
}

}  // namespace capbroker
