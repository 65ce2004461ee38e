// A service's page for those who call it or grant it: for each rpc what it does, what
// bounds it, what it charges, which descriptors it takes and gives, how it is refused.
// Runs at build time.
#ifndef TOOLS_PAGES_SERVICE_PAGE_H_
#define TOOLS_PAGES_SERVICE_PAGE_H_

#include <string>
#include <vector>

#include "google/protobuf/descriptor.h"

namespace capbroker::tools {

// Markdown. All services of the files.
std::string ServicePage(const std::vector<const google::protobuf::FileDescriptor*>& files);

}  // namespace capbroker::tools

#endif  // TOOLS_PAGES_SERVICE_PAGE_H_
