// The calls that name files, answered under the grants of a worker.
//
// Each is done here, in the supervisor's own right, on a copy of the arguments: a path is
// read once, its place among the grants is found by its text, and the kernel walks from the root
// of that place and no further. The worker gets the descriptor, or a result is written into its
// memory. Decided on the name, before anything is looked at: ENOTCAPABLE.
//
// Directories above a granted path exist for the worker as far as their names: they can be
// looked at and passed through, and show nothing.
//
// Lives in: the supervisor. One thread: a file system that does not answer stops this worker's
// calls, and nobody else's.
#ifndef SANDBOX_FILE_CALLS_H_
#define SANDBOX_FILE_CALLS_H_

#include <sys/stat.h>

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/unique_fd.h"
#include "sandbox/granted_places.h"
#include "sandbox/notification.h"
#include "sandbox/worker_directories.h"

namespace capbroker::sandbox {

class FileCalls {
 public:
  // `worker` is a pidfd of it.
  FileCalls(GrantedPlaces places, FdRef worker, int highest_descriptor);

  // The answer to a call that the table asks for; ENOSYS for any other.
  Answer AnswerTo(const Notification& call);

  // The calls that have an answer. A test compares them with the table.
  static std::vector<std::string> Names();

 private:
  using Method = Answer (FileCalls::*)(const Notification&);
  struct Named {
    const char* name;
    Method method;
  };
  static const std::vector<Named>& Methods();

  // A directory and a path, as the worker gives them.
  struct PathArgument {
    int directory;
    uint64_t address;
    bool may_be_empty = false;  // AT_EMPTY_PATH: the directory's descriptor is what is meant
  };
  struct PathRead {
    int error_number = 0;
    std::string base;  // the name of the directory; empty if the path is absolute
    std::string path;
    bool empty = false;  // see may_be_empty
    std::string Name() const { return base + "/" + path; }
  };
  // What a path leads to, without opening it.
  struct Object {
    int error_number = 0;
    UniqueFd fd;         // O_PATH
    bool above = false;  // a directory above the grants; then without `fd`
  };
  struct OpenRequest {
    uint64_t flags = 0;  // without O_PATH
    uint64_t mode = 0;
    uint64_t resolve = 0;
    bool only_path = false;  // O_PATH
  };
  struct LookRequest {
    bool follow = true;
    unsigned access = 0;      // that the grant must give
    uint64_t open_flags = 0;  // O_DIRECTORY
  };

  PathRead Read(const Notification& call, const PathArgument& argument);
  int NameOfDescriptor(int descriptor, std::string& name);
  bool LeadsTo(const std::string& name, const struct stat& directory) const;
  // The shortest name that leads to `directory`, to which `name` leads: behind a symlink ".." is
  // not what the text says.
  std::string Settle(std::string name, const struct stat& directory) const;
  Object Find(const std::string& name, const LookRequest& request) const;
  // Also of an empty path.
  Object Find(const Notification& call, const PathArgument& argument, const LookRequest& request);
  Answer WriteTo(const Notification& call, uint64_t address, const void* data, size_t size,
                 int64_t result) const;

  Answer Open(const Notification& call, const PathArgument& argument, OpenRequest request);
  Answer OpenLocated(const PathRead& read, const OpenRequest& request);
  Answer OpenWithin(const PathRead& read, const OpenRequest& request);
  Answer Give(UniqueFd fd, const GrantedPlace& place, std::string name, const OpenRequest& request);
  Answer Status(const Notification& call, const PathArgument& argument, uint64_t flags,
                uint64_t result_address);
  Answer Access(const Notification& call, const PathArgument& argument, uint64_t mode,
                uint64_t flags);
  Answer ReadLink(const Notification& call, const PathArgument& argument, uint64_t address,
                  uint64_t size);

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

  GrantedPlaces places_;
  WorkerDirectories directories_;
  std::map<int, Method> methods_;  // by number
};

}  // namespace capbroker::sandbox

#endif  // SANDBOX_FILE_CALLS_H_
