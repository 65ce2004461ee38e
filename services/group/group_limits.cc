#include "services/group/group_limits.h"

#include "absl/strings/str_cat.h"

namespace capbroker::group {
namespace {

v1::GroupDatabaseLimits NameAndId(v1::Operation operation) {
  v1::GroupDatabaseLimits limits;
  limits.add_operations(operation);
  limits.add_fields(v1::GROUP_FIELD_NAME);
  limits.add_fields(v1::GROUP_FIELD_ID);
  return limits;
}

}  // namespace

v1::GroupDatabaseLimits LimitsForGroupNames(absl::Span<const std::string> names) {
  v1::GroupDatabaseLimits limits = NameAndId(v1::OPERATION_BY_NAME);
  for (const std::string& name : names) limits.add_group_names(name);
  limits.add_group_ids("*");
  return limits;
}

v1::GroupDatabaseLimits LimitsForGroupIds(absl::Span<const uint32_t> ids) {
  v1::GroupDatabaseLimits limits = NameAndId(v1::OPERATION_BY_ID);
  for (uint32_t id : ids) limits.add_group_ids(absl::StrCat(id));
  limits.add_group_names("*");
  return limits;
}

v1::GroupDatabaseLimits LimitsForEveryGroup() {
  v1::GroupDatabaseLimits limits = NameAndId(v1::OPERATION_BY_NAME);
  limits.add_operations(v1::OPERATION_BY_ID);
  limits.add_operations(v1::OPERATION_ENUMERATE);
  limits.add_fields(v1::GROUP_FIELD_MEMBERS);
  limits.add_group_names("*");
  limits.add_group_ids("*");
  return limits;
}

}  // namespace capbroker::group
