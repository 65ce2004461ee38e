#include "transport/descriptor_rights.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <linux/magic.h>

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

#ifndef PID_FS_MAGIC
#define PID_FS_MAGIC 0x50494446  // linux/magic.h, Linux 6.9
#endif

namespace capbroker::transport {
namespace {

using ::google::protobuf::FieldDescriptor;
using ::google::protobuf::Message;
using ::google::protobuf::Reflection;
using Rights = v1::DescriptorRights;

bool CarriesDescriptors(const google::protobuf::Descriptor* type,
                        std::set<const google::protobuf::Descriptor*>& seen) {
  if (type == v1::Descriptor::descriptor()) return true;
  if (!seen.insert(type).second) return false;
  for (int i = 0; i < type->field_count(); ++i) {
    const auto* nested = type->field(i)->message_type();
    if (nested != nullptr && CarriesDescriptors(nested, seen)) return true;
  }
  return false;
}

Rights::Kind KindOfSocket(FdRef fd) {
  int type = 0;
  socklen_t size = sizeof type;
  if (getsockopt(fd.get(), SOL_SOCKET, SO_TYPE, &type, &size) != 0) return Rights::KIND_UNSPECIFIED;
  if (type == SOCK_STREAM) return Rights::STREAM_SOCKET;
  int domain = 0;
  size = sizeof domain;
  if (type == SOCK_SEQPACKET &&
      getsockopt(fd.get(), SOL_SOCKET, SO_DOMAIN, &domain, &size) == 0 && domain == AF_UNIX) {
    return Rights::LANE;
  }
  return Rights::KIND_UNSPECIFIED;
}

// The kind of what is open; never a directory, whose descriptor would be the
// whole tree around it, nor anything else that cannot be declared.
Rights::Kind KindOf(FdRef fd) {
  struct stat status;
  if (fstat(fd.get(), &status) != 0) return Rights::KIND_UNSPECIFIED;
  switch (status.st_mode & S_IFMT) {
    case S_IFREG:
      // Only memfds can be asked for seals, and tmpfs files, which have none.
      if (const int seals = fcntl(fd.get(), F_GET_SEALS); seals >= 0 && status.st_nlink == 0) {
        return Rights::MEMFD;
      }
      break;
    case S_IFIFO:
      return Rights::PIPE;
    case S_IFCHR:
      return Rights::CHARACTER_DEVICE;
    case S_IFSOCK:
      return KindOfSocket(fd);
    default:
      break;
  }
  struct statfs file_system;
  if (fstatfs(fd.get(), &file_system) == 0 && file_system.f_type == PID_FS_MAGIC) {
    return Rights::PIDFD;
  }
  return S_ISREG(status.st_mode) ? Rights::REGULAR_FILE : Rights::KIND_UNSPECIFIED;
}

bool AccessAllows(Rights::Access declared, int flags) {
  const bool path_only = (flags & O_PATH) != 0;
  switch (declared) {
    case Rights::PATH:
      return path_only;
    case Rights::READ:
      return !path_only && (flags & O_ACCMODE) == O_RDONLY;
    case Rights::WRITE:
      return !path_only && (flags & O_ACCMODE) == O_WRONLY;
    case Rights::READ_WRITE:
      return !path_only && (flags & O_ACCMODE) == O_RDWR;
    default:
      return !path_only;
  }
}

class Walk {
 public:
  explicit Walk(absl::Span<const FdRef> descriptors)
      : descriptors_(descriptors), named_(descriptors.size()) {}

  absl::Status Visit(const Message& message) {
    const Reflection* reflection = message.GetReflection();
    std::vector<const FieldDescriptor*> fields;
    reflection->ListFields(message, &fields);
    for (const FieldDescriptor* field : fields) {
      if (field->cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE) continue;
      if (!field->is_repeated()) {
        CB_RETURN_IF_ERROR(VisitField(field, reflection->GetMessage(message, field)));
        continue;
      }
      const int count = reflection->FieldSize(message, field);
      for (int i = 0; i < count; ++i) {
        CB_RETURN_IF_ERROR(VisitField(field, reflection->GetRepeatedMessage(message, field, i)));
      }
    }
    return absl::OkStatus();
  }

  absl::Status AllNamed() const {
    if (std::find(named_.begin(), named_.end(), false) == named_.end()) return absl::OkStatus();
    return absl::InvalidArgumentError("descriptor that no field names");
  }

 private:
  absl::Status VisitField(const FieldDescriptor* field, const Message& value) {
    if (value.GetDescriptor() != v1::Descriptor::descriptor()) return Visit(value);
    const uint32_t slot = static_cast<const v1::Descriptor&>(value).slot();
    if (slot == 0) return absl::OkStatus();
    if (slot > descriptors_.size() || named_[slot - 1]) {
      return absl::InvalidArgumentError(absl::StrCat(field->name(), ": no such descriptor"));
    }
    named_[slot - 1] = true;
    const absl::Status checked =
        CheckRights(descriptors_[slot - 1], field->options().GetExtension(v1::rights));
    if (checked.ok()) return checked;
    return absl::InvalidArgumentError(absl::StrCat(field->name(), ": ", checked.message()));
  }

  const absl::Span<const FdRef> descriptors_;
  std::vector<bool> named_;
};

}  // namespace

bool CarriesDescriptors(const google::protobuf::Descriptor* type) {
  std::set<const google::protobuf::Descriptor*> seen;
  return CarriesDescriptors(type, seen);
}

absl::Status CheckRights(FdRef fd, const v1::DescriptorRights& rights) {
  const Rights::Kind kind = KindOf(fd);
  if (kind == Rights::KIND_UNSPECIFIED ||
      std::find(rights.kinds().begin(), rights.kinds().end(), kind) == rights.kinds().end()) {
    return absl::InvalidArgumentError("descriptor of an undeclared kind");
  }
  const int flags = fcntl(fd.get(), F_GETFL);
  if (flags < 0 || !AccessAllows(rights.access(), flags)) {
    return absl::InvalidArgumentError("descriptor with an undeclared access mode");
  }
  if (rights.append_only() && (flags & O_APPEND) == 0) {
    return absl::InvalidArgumentError("descriptor that is not append-only");
  }
  if (rights.seals() != 0) {
    const int seals = fcntl(fd.get(), F_GET_SEALS);
    if (seals < 0 || (static_cast<uint32_t>(seals) & rights.seals()) != rights.seals()) {
      return absl::InvalidArgumentError("descriptor without the declared seals");
    }
  }
  return absl::OkStatus();
}

absl::Status CheckDescriptors(const Message& message, absl::Span<const FdRef> descriptors) {
  Walk walk(descriptors);
  CB_RETURN_IF_ERROR(walk.Visit(message));
  return walk.AllNamed();
}

}  // namespace capbroker::transport
