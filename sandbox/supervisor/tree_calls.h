// The calls that make, remove and rename what is in a directory, answered under the grants of a
// worker (granted_names.h).
//
// The kernel walks to the directory, and the last component is a name in it that nobody
// follows. Should the directory be moved out of the grant between the two, Landlock is asked
// by the kernel once more, and forbids it.
//
// Symlinks, hard links and special files are made by none: to whoever comes across one outside of
// the worker, it means what the worker wants.
//
// Lives in: the supervisor. One thread.
#ifndef SANDBOX_SUPERVISOR_TREE_CALLS_H_
#define SANDBOX_SUPERVISOR_TREE_CALLS_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "sandbox/supervisor/granted_names.h"
#include "sandbox/supervisor/notification.h"

namespace capbroker::sandbox {

class TreeCalls {
 public:
  explicit TreeCalls(GrantedNames& names);

  // Nothing if the call is another.
  std::optional<Answer> AnswerTo(const Notification& call);

  // The calls that have an answer. A test compares them with the table.
  static std::vector<std::string> Names();

 private:
  using Method = Answer (TreeCalls::*)(const Notification&);
  struct Named {
    const char* name;
    Method method;
  };
  static const std::vector<Named>& Methods();

  Answer Make(const Notification& call, const PathArgument& argument, uint64_t mode);
  Answer Remove(const Notification& call, const PathArgument& argument, int flags);
  Answer Rename(const Notification& call, const PathArgument& from, const PathArgument& to,
                uint64_t flags);

  Answer OnMkdir(const Notification& call);
  Answer OnMkdirat(const Notification& call);
  Answer OnRmdir(const Notification& call);
  Answer OnUnlink(const Notification& call);
  Answer OnUnlinkat(const Notification& call);
  Answer OnRename(const Notification& call);
  Answer OnRenameat(const Notification& call);
  Answer OnRenameat2(const Notification& call);

  GrantedNames& names_;
  std::map<int, Method> methods_;  // by number
};

}  // namespace capbroker::sandbox

#endif  // SANDBOX_SUPERVISOR_TREE_CALLS_H_
