#include "services/group/grants.h"

#include "capbroker/group/v1/group_database.dispatch.h"
#include "services/group/group_database.h"
#include "services/service.h"

namespace capbroker {

Authority LookUpGroupById(uint32_t id) { return LookUpGroups(group::LimitsForGroupIds({id})); }

Authority LookUpGroupByName(const std::string& name) {
  return LookUpGroups(group::LimitsForGroupNames({name}));
}

Authority LookUpGroups(const group::v1::GroupDatabaseLimits& limits, bool wire) {
  return Serve<group::GroupDatabaseService>(limits, {.wire = wire});
}

}  // namespace capbroker
