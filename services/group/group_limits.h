// Limits of the GroupDatabase service for the usual purposes. A group's name and
// id are told; add GROUP_FIELD_MEMBERS to `fields` for its members.
//
// Lives in: the application. Thread-safe: functions without state.
#ifndef SERVICES_GROUP_GROUP_LIMITS_H_
#define SERVICES_GROUP_GROUP_LIMITS_H_

#include <cstdint>
#include <string>

#include "absl/types/span.h"
#include "capbroker/group/v1/group_database.pb.h"

namespace capbroker::group {

// To look up these groups, by name, whatever their ids.
v1::GroupDatabaseLimits LimitsForGroupNames(absl::Span<const std::string> names);

// To look up these groups, by id, whatever their names.
v1::GroupDatabaseLimits LimitsForGroupIds(absl::Span<const uint32_t> ids);

// The whole database: by name, by id and enumerated, with members.
v1::GroupDatabaseLimits LimitsForEveryGroup();

}  // namespace capbroker::group

#endif  // SERVICES_GROUP_GROUP_LIMITS_H_
