// The calls that change what is written about a file: permissions, times, size, and the owner, who
// can only be stated to be who it is. They take a grant to create beneath, since who may make a
// file anew may as well say so about the old one. By a descriptor they can be made of what was
// opened under such a grant: on its own mount, or by a name that still leads there. The size takes
// a descriptor that may write anywhere in the file, wherever it came from: one that only appends is
// a right of its own, which Linux does not keep here. Where rights of descriptors are not seen, the
// size takes a grant to write.
//
// Lives in: the supervisor. One thread.
#ifndef SANDBOX_SUPERVISOR_METADATA_CALLS_H_
#define SANDBOX_SUPERVISOR_METADATA_CALLS_H_

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "sandbox/supervisor/granted_names.h"
#include "sandbox/supervisor/notification.h"

namespace capbroker::sandbox {

class MetadataCalls {
 public:
  // `largest_file` in bytes.
  MetadataCalls(GrantedNames& names, uint64_t largest_file);

  // Nothing if the call is another.
  std::optional<Answer> AnswerTo(const Notification& call);

  // The calls that have an answer. A test compares them with the table.
  static std::vector<std::string> Names();

 private:
  using Method = Answer (MetadataCalls::*)(const Notification&);
  struct Named {
    const char* name;
    Method method;
  };
  static const std::vector<Named>& Methods();

  // An open regular file or directory, by name or by the caller's descriptor.
  Object Open(const Notification& call, const PathArgument& argument, bool follow);
  Object Held(const Notification& call, int descriptor);

  Answer SetMode(Object object, uint64_t mode);
  Answer SetOwner(Object object, uint64_t user, uint64_t group);
  Answer SetTimes(Object object, const timespec times[2]);

  Answer OnChmod(const Notification& call);
  Answer OnFchmod(const Notification& call);
  Answer OnFchmodat(const Notification& call);
  Answer OnFchmodat2(const Notification& call);
  Answer OnChown(const Notification& call);
  Answer OnLchown(const Notification& call);
  Answer OnFchown(const Notification& call);
  Answer OnFchownat(const Notification& call);
  Answer OnUtimensat(const Notification& call);
  Answer OnFtruncate(const Notification& call);
  Answer OnFallocate(const Notification& call);

  GrantedNames& names_;
  const uint64_t largest_file_;
  std::map<int, Method> methods_;  // by number
};

}  // namespace capbroker::sandbox

#endif  // SANDBOX_SUPERVISOR_METADATA_CALLS_H_
