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

Authority RevocableReadOnlyFile(const std::string& path) {
  return OpenFiles(file::LimitsForRevocableReading({path}));
}

Authority RevocableReadOnlyDirectory(const std::string& path) {
  return OpenFiles(file::LimitsForRevocableDirectory(path), /*wire=*/true);
}

Authority RevocableReadWriteFile(const std::string& path, uint64_t max_size) {
  return OpenFiles(file::LimitsForRevocableWriting({path}, max_size));
}

Authority OpenFiles(const file::v1::FileOpenerLimits& limits, bool wire) {
  return Serve<file::FileOpenerService>(limits, {.wire = wire});
}

}  // namespace capbroker
