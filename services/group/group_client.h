// The host's groups, for workers that have a channel of the GroupDatabase service.
//
//   group::Groups groups(*stub);
//   absl::StatusOr<group::v1::Group> audio = groups.FindByName("audio");
//
// A field that the limits hide is absent: has_members(). Statuses are those of
// the service (group_database.proto), with the denial in them: DenialOf() of
// transport/grpc_status.h.
//
// Lives in: workers, applications. Thread-safe if the stub is. May be used in a
// compromised process.
#ifndef SERVICES_GROUP_GROUP_CLIENT_H_
#define SERVICES_GROUP_GROUP_CLIENT_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "capbroker/group/v1/group_database.grpc.pb.h"

namespace capbroker::group {

class Groups {
 public:
  // `stub` outlives this. Each call ends after `timeout`.
  explicit Groups(v1::GroupDatabase::StubInterface& stub,
                  absl::Duration timeout = absl::InfiniteDuration())
      : stub_(stub), timeout_(timeout) {}

  // NOT_FOUND: allowed, but absent.
  absl::StatusOr<v1::Group> FindByName(absl::string_view name) const;
  absl::StatusOr<v1::Group> FindById(uint32_t id) const;

  // Nothing: allowed, but absent.
  absl::StatusOr<std::optional<v1::Group>> TryFindByName(absl::string_view name) const;
  absl::StatusOr<std::optional<v1::Group>> TryFindById(uint32_t id) const;

  // All groups that the limits allow, at most `max_groups` of them:
  // RESOURCE_EXHAUSTED when there are more. Streams, so the channel must allow a
  // wire.
  absl::StatusOr<std::vector<v1::Group>> List(size_t max_groups = 100'000) const;

 private:
  v1::GroupDatabase::StubInterface& stub_;
  const absl::Duration timeout_;
};

}  // namespace capbroker::group

#endif  // SERVICES_GROUP_GROUP_CLIENT_H_
