#include "transport/descriptor_rights.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <set>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "transport/reduce_access.h"

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

// -1: not a socket, or not known.
int SocketOption(FdRef fd, int option) {
  int value = -1;
  socklen_t size = sizeof value;
  return getsockopt(fd.get(), SOL_SOCKET, option, &value, &size) == 0 ? value : -1;
}

Rights::Kind KindOfSocket(FdRef fd) {
  const int type = SocketOption(fd, SO_TYPE);
  const int listens = SocketOption(fd, SO_ACCEPTCONN);
  // One that listens makes connections: another authority than one of them.
  if (listens != 0) {
    const bool tcp = type == SOCK_STREAM && SocketOption(fd, SO_PROTOCOL) == IPPROTO_TCP;
    return listens == 1 && tcp ? Rights::LISTENING_SOCKET : Rights::KIND_UNSPECIFIED;
  }
  if (type == SOCK_STREAM) return Rights::STREAM_SOCKET;
  const bool lane = type == SOCK_SEQPACKET && SocketOption(fd, SO_DOMAIN) == AF_UNIX;
  return lane ? Rights::LANE : Rights::KIND_UNSPECIFIED;
}

// The kind of what is open; never a directory, whose descriptor would be the
// whole tree around it, nor anything else that cannot be declared.
Rights::Kind KindOf(FdRef fd) {
  struct stat status;
  if (fstat(fd.get(), &status) != 0) return Rights::KIND_UNSPECIFIED;
  switch (status.st_mode & S_IFMT) {
    case S_IFREG:
      // What follows lives on no device, and so does much else.
      if (major(status.st_dev) != 0) return Rights::REGULAR_FILE;
      // Only memfds can be asked for seals, and tmpfs files, which have none.
      if (status.st_nlink == 0 && fcntl(fd.get(), F_GET_SEALS) >= 0) return Rights::MEMFD;
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
  // Refused by a confined worker's table, which also refuses to enter a namespace.
  struct statfs file_system = {};
  (void)fstatfs(fd.get(), &file_system);
  if (file_system.f_type == PID_FS_MAGIC) return Rights::PIDFD;
  // Looks like a file, and is the right to enter a namespace.
  if (file_system.f_type == NSFS_MAGIC) return Rights::KIND_UNSPECIFIED;
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
    case Rights::ACCESS_UNSPECIFIED:
    case Rights::NO_ACCESS:
      return !path_only;
    default:
      return false;
  }
}

absl::Status Named(const FieldDescriptor& field, const absl::Status& status) {
  return absl::Status(status.code(), absl::StrCat(field.name(), ": ", status.message()));
}

}  // namespace

bool CarriesDescriptors(const google::protobuf::Descriptor* type) {
  std::set<const google::protobuf::Descriptor*> seen;
  return CarriesDescriptors(type, seen);
}

absl::Status VisitDescriptors(const Message& message, DescriptorVisit visit) {
  const Reflection* reflection = message.GetReflection();
  std::vector<const FieldDescriptor*> fields;
  reflection->ListFields(message, &fields);
  for (const FieldDescriptor* field : fields) {
    if (field->cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE) continue;
    const int count = field->is_repeated() ? reflection->FieldSize(message, field) : 1;
    for (int i = 0; i < count; ++i) {
      const Message& value = field->is_repeated()
                                 ? reflection->GetRepeatedMessage(message, field, i)
                                 : reflection->GetMessage(message, field);
      if (value.GetDescriptor() != v1::Descriptor::descriptor()) {
        CB_RETURN_IF_ERROR(VisitDescriptors(value, visit));
        continue;
      }
      const uint32_t slot = static_cast<const v1::Descriptor&>(value).slot();
      if (slot != 0) CB_RETURN_IF_ERROR(visit(*field, slot));
    }
  }
  return absl::OkStatus();
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
  if (rights.seekable() && lseek(fd.get(), 0, SEEK_CUR) < 0) {
    return absl::InvalidArgumentError("descriptor that is not seekable");
  }
  if (rights.max_size() != 0) {
    struct stat status;
    if (fstat(fd.get(), &status) != 0 ||
        static_cast<uint64_t>(status.st_size) > rights.max_size()) {
      return absl::InvalidArgumentError("descriptor of a file larger than declared");
    }
  }
  return absl::OkStatus();
}

// TRUST(worker): on receive, message and descriptors are the peer's.
absl::Status CheckDescriptors(const Message& message, absl::Span<const FdRef> descriptors) {
  std::vector<bool> named(descriptors.size());
  CB_RETURN_IF_ERROR(
      VisitDescriptors(message, [&](const FieldDescriptor& field, uint32_t slot) -> absl::Status {
        if (slot > descriptors.size() || named[slot - 1]) {
          return Named(field, absl::InvalidArgumentError("no such descriptor"));
        }
        named[slot - 1] = true;
        const absl::Status checked =
            CheckRights(descriptors[slot - 1], field.options().GetExtension(v1::rights));
        return checked.ok() ? checked : Named(field, checked);
      }));
  if (std::find(named.begin(), named.end(), false) == named.end()) return absl::OkStatus();
  return absl::InvalidArgumentError("descriptor that no field names");
}

absl::Status ReduceDescriptors(const Message& message, absl::Span<UniqueFd> descriptors) {
  return VisitDescriptors(message,
                          [&](const FieldDescriptor& field, uint32_t slot) -> absl::Status {
                            const Rights& rights = field.options().GetExtension(v1::rights);
                            // Where the slot is wrong, CheckDescriptors() says so.
                            if (!rights.reduced() || slot > descriptors.size())
                              return absl::OkStatus();
                            UniqueFd& sent = descriptors[slot - 1];
                            absl::StatusOr<UniqueFd> reduced = ReduceAccess(sent, rights);
                            if (!reduced.ok()) return Named(field, reduced.status());
                            if (reduced->valid()) sent = *std::move(reduced);
                            return absl::OkStatus();
                          });
}

}  // namespace capbroker::transport
