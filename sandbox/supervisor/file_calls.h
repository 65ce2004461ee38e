// The calls that open files by name and look at them, answered under the grants of a worker
// (granted_names.h).
//
// Each is done here, in the supervisor's own right, on a copy of the arguments. The worker gets
// the descriptor, or a result is written into its memory.
//
// Lives in: the supervisor. One thread: a file system that does not answer stops this worker's
// calls, and nobody else's.
#ifndef SANDBOX_SUPERVISOR_FILE_CALLS_H_
#define SANDBOX_SUPERVISOR_FILE_CALLS_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/unique_fd.h"
#include "sandbox/supervisor/granted_names.h"
#include "sandbox/supervisor/granted_places.h"
#include "sandbox/supervisor/notification.h"

namespace capbroker::sandbox {

class FileCalls {
 public:
  explicit FileCalls(GrantedNames& names);

  // Nothing if the call is another.
  std::optional<Answer> AnswerTo(const Notification& call);

  // The calls that have an answer. A test compares them with the table.
  static std::vector<std::string> Names();

 private:
  using Method = Answer (FileCalls::*)(const Notification&);
  struct Named {
    const char* name;
    Method method;
  };
  static const std::vector<Named>& Methods();

  struct OpenRequest {
    uint64_t flags = 0;  // without O_PATH
    uint64_t mode = 0;
    uint64_t resolve = 0;
    bool only_path = false;  // O_PATH
  };

  Answer WriteTo(const Notification& call, uint64_t address, const void* data, size_t size,
                 int64_t result) const;

  Answer Open(const Notification& call, const PathArgument& argument, OpenRequest request);
  Answer OpenLocated(const Notification& call, const PathRead& read, const OpenRequest& request);
  Answer OpenWithin(const PathRead& read, const OpenRequest& request);
  Answer Give(UniqueFd fd, const GrantedPlace& place, std::string name, const OpenRequest& request);
  Answer Status(const Notification& call, const PathArgument& argument, uint64_t flags,
                uint64_t result_address);
  Answer Access(const Notification& call, const PathArgument& argument, uint64_t mode,
                uint64_t flags);
  Answer ReadLink(const Notification& call, const PathArgument& argument, uint64_t address,
                  uint64_t size);

  Answer EnterDirectory(const Notification& call, std::string name) const;

  Answer OnOpen(const Notification& call);
  Answer OnCreat(const Notification& call);
  Answer OnOpenat(const Notification& call);
  Answer OnOpenat2(const Notification& call);
  Answer OnStat(const Notification& call);
  Answer OnLstat(const Notification& call);
  Answer OnNewfstatat(const Notification& call);
  Answer OnStatx(const Notification& call);
  Answer OnAccess(const Notification& call);
  Answer OnFaccessat(const Notification& call);
  Answer OnFaccessat2(const Notification& call);
  Answer OnReadlink(const Notification& call);
  Answer OnReadlinkat(const Notification& call);
  Answer OnChdir(const Notification& call);
  Answer OnFchdir(const Notification& call);
  Answer OnGetcwd(const Notification& call);
  Answer OnUmask(const Notification& call);

  GrantedNames& names_;
  std::map<int, Method> methods_;  // by number
};

}  // namespace capbroker::sandbox

#endif  // SANDBOX_SUPERVISOR_FILE_CALLS_H_
