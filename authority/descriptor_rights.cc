#include "authority/descriptor_rights.h"

#include <algorithm>
#include <initializer_list>

#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "capbroker/v1/authority.pb.h"

namespace capbroker::authority {
namespace {

using ::google::protobuf::Descriptor;
using ::google::protobuf::FieldDescriptor;

absl::Status Fault(const FieldDescriptor& field, absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat(field.full_name(), ": ", what));
}

using Rights = v1::DescriptorRights;

bool OnlyKinds(const Rights& rights, std::initializer_list<Rights::Kind> allowed) {
  return std::all_of(rights.kinds().begin(), rights.kinds().end(), [&](int kind) {
    return std::find(allowed.begin(), allowed.end(), kind) != allowed.end();
  });
}

// Rights that no descriptor of these kinds could have, or that would say nothing of it.
absl::Status CheckCombination(const FieldDescriptor& field, const Rights& rights) {
  const bool has_file = OnlyKinds(rights, {Rights::REGULAR_FILE, Rights::MEMFD});
  const bool one_way = rights.access() == Rights::READ || rights.access() == Rights::WRITE;
  if (!Rights::Access_IsValid(rights.access())) return Fault(field, "its access is unknown");
  if (rights.access() == Rights::NO_ACCESS && !OnlyKinds(rights, {Rights::PIDFD})) {
    return Fault(field, "NO_ACCESS is of a PIDFD alone");
  }
  if (rights.seals() != 0 && !OnlyKinds(rights, {Rights::MEMFD})) {
    return Fault(field, "seals are of a MEMFD alone");
  }
  if (rights.append_only() && (rights.access() == Rights::READ || rights.access() == Rights::PATH ||
                               rights.access() == Rights::NO_ACCESS)) {
    return Fault(field, "is append_only, and cannot be written");
  }
  if (rights.seekable() &&
      !OnlyKinds(rights, {Rights::REGULAR_FILE, Rights::MEMFD, Rights::CHARACTER_DEVICE})) {
    return Fault(field, "is seekable, and of a kind that never is");
  }
  if (rights.max_size() != 0 && !has_file) {
    return Fault(field, "has a max_size, and is of a kind that has no size");
  }
  if (rights.reduced() && (!has_file || !one_way)) {
    return Fault(field, "is reduced, and not a REGULAR_FILE or MEMFD for READ or WRITE");
  }
  return absl::OkStatus();
}

absl::Status CheckLease(const FieldDescriptor& field, const Rights& rights, Direction direction) {
  if (!Rights::Lease_IsValid(rights.lease())) return Fault(field, "its lease is unknown");
  if (rights.lease() == Rights::LEASE_UNSPECIFIED) return absl::OkStatus();
  // Nothing else can be taken back. Not a LANE: its holder clones it, and the clone is another
  // socket; what ends a channel and its clones is revocation.
  if (!OnlyKinds(rights, {Rights::STREAM_SOCKET, Rights::LISTENING_SOCKET})) {
    return Fault(field, "is leased, and neither a STREAM_SOCKET nor a LISTENING_SOCKET alone");
  }
  if (direction == Direction::kRequest) return Fault(field, "is leased, and in a request");
  return absl::OkStatus();
}

absl::Status CheckRights(const FieldDescriptor& field, Direction direction) {
  const bool has_rights = field.options().HasExtension(v1::rights);
  if (!IsDescriptorField(field)) {
    return has_rights ? Fault(field, "has (capbroker.v1.rights) and is no descriptor")
                      : absl::OkStatus();
  }
  if (!has_rights) return Fault(field, "is a descriptor without (capbroker.v1.rights)");
  const v1::DescriptorRights& rights = field.options().GetExtension(v1::rights);
  if (rights.kinds().empty()) return Fault(field, "its rights name no kind");
  for (int kind : rights.kinds()) {
    if (kind == v1::DescriptorRights::KIND_UNSPECIFIED ||
        !v1::DescriptorRights::Kind_IsValid(kind)) {
      return Fault(field, absl::StrCat("its rights name the unknown kind ", kind));
    }
  }
  CB_RETURN_IF_ERROR(CheckCombination(field, rights));
  return CheckLease(field, rights, direction);
}

// `seen` makes recursive types (of responses) end.
absl::StatusOr<bool> Search(const Descriptor& type, Direction direction,
                            absl::flat_hash_set<const Descriptor*>& seen) {
  bool found = false;
  if (!seen.insert(&type).second) return found;
  for (int i = 0; i < type.field_count(); ++i) {
    const FieldDescriptor& field = *type.field(i);
    CB_RETURN_IF_ERROR(CheckRights(field, direction));
    if (IsDescriptorField(field)) {
      found = true;
    } else if (field.is_map() && field.message_type()->map_value()->message_type() != nullptr &&
               IsDescriptorField(*field.message_type()->map_value())) {
      return Fault(field, "descriptors cannot be in a map");
    } else if (field.message_type() != nullptr) {
      CB_ASSIGN_OR_RETURN(const bool below, Search(*field.message_type(), direction, seen));
      found = found || below;
    }
  }
  return found;
}

}  // namespace

bool IsDescriptorField(const FieldDescriptor& field) {
  return field.message_type() != nullptr &&
         field.message_type()->full_name() == v1::Descriptor::descriptor()->full_name();
}

absl::StatusOr<bool> CarriesDescriptors(const Descriptor& type, Direction direction) {
  absl::flat_hash_set<const Descriptor*> seen;
  return Search(type, direction, seen);
}

}  // namespace capbroker::authority
