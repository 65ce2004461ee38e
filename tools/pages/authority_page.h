// One table of what bounds every request field of many services: the page that a
// security review starts with. Runs at build time.
#ifndef TOOLS_PAGES_AUTHORITY_PAGE_H_
#define TOOLS_PAGES_AUTHORITY_PAGE_H_

#include <string>
#include <vector>

#include "google/protobuf/descriptor.h"

namespace capbroker::tools {

// Markdown. All services of the files, by name.
std::string AuthorityPage(const std::vector<const google::protobuf::FileDescriptor*>& files);

}  // namespace capbroker::tools

#endif  // TOOLS_PAGES_AUTHORITY_PAGE_H_
