// Grant expressions of the GroupDatabase, and what keeps it linked.
//
//   .grants = {{"group", capbroker::LookUpGroupById(getgid())}}
//
// Lives in: the application. Values; nothing happens until a broker opens them.
#ifndef SERVICES_GROUP_GRANTS_H_
#define SERVICES_GROUP_GRANTS_H_

#include <cstdint>
#include <string>

#include "client/grant.h"
#include "services/group/group_limits.h"

namespace capbroker {

// The name of one group.
Authority LookUpGroupById(uint32_t id);
// The id of one group.
Authority LookUpGroupByName(const std::string& name);

// Within limits of one's own. `wire`: groups are enumerated as a stream.
Authority LookUpGroups(const group::v1::GroupDatabaseLimits& limits, bool wire = false);

}  // namespace capbroker

#endif  // SERVICES_GROUP_GRANTS_H_
