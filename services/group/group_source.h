// The groups that this host knows, through NSS: /etc/group and whatever else
// nsswitch.conf(5) names.
//
// Lives in: the service process. Thread-safe: functions; enumerations take turns,
// because the C library's cursor belongs to the whole process.
#ifndef SERVICES_GROUP_GROUP_SOURCE_H_
#define SERVICES_GROUP_GROUP_SOURCE_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace capbroker::group {

// Bytes that one group may need: a longer list of members is RESOURCE_EXHAUSTED.
inline constexpr size_t kMaxGroupBytes = 1 << 20;

struct GroupRecord {
  std::string name;
  uint32_t id = 0;
  std::vector<std::string> members;
};

// Makes the C library read its configuration and load its modules, which a
// confined process can no longer do.
void LoadGroupSources();

// NOT_FOUND: no such group. UNAVAILABLE: a source does not answer. Nothing is
// remembered between calls.
absl::StatusOr<GroupRecord> FindGroupByName(const std::string& name);
absl::StatusOr<GroupRecord> FindGroupById(uint32_t id);

// Calls `visit` for each group, until it returns false. `cancelled` is asked
// while waiting for another enumeration: CANCELLED. `visit` must not block, since
// others wait.
absl::Status VisitGroups(absl::FunctionRef<bool()> cancelled,
                         absl::FunctionRef<bool(GroupRecord)> visit);

}  // namespace capbroker::group

#endif  // SERVICES_GROUP_GROUP_SOURCE_H_
