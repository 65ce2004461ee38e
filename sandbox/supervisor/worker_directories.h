// What relative paths of a worker are relative to: its working directory, and the
// directories that it has descriptors of.
//
// The working directory is kept here, as a name; the worker's own stays "/" of an empty root.
// A descriptor's number says nothing (the worker can duplicate and rearrange them), so the
// worker's descriptor is looked at by pidfd_getfd, and known again by device and inode. That
// only finds the *name* under which the directory was opened, and gives nothing: the name is looked
// up anew, beneath its grant, and has to lead to that same directory still. A directory
// descriptor that the worker got elsewhere is therefore good for nothing.
//
// Lives in: the supervisor.
#ifndef SANDBOX_SUPERVISOR_WORKER_DIRECTORIES_H_
#define SANDBOX_SUPERVISOR_WORKER_DIRECTORIES_H_

#include <sys/stat.h>

#include <cstdint>
#include <map>
#include <string>
#include <utility>

#include "base/open_how.h"
#include "base/unique_fd.h"

namespace capbroker::sandbox {

class WorkerDirectories {
 public:
  // `worker` is a pidfd. `highest_descriptor` bounds the numbers that the worker can have.
  WorkerDirectories(FdRef worker, int highest_descriptor)
      : worker_(worker), highest_descriptor_(highest_descriptor) {}

  const std::string& working_directory() const { return working_directory_; }
  void set_working_directory(std::string name) { working_directory_ = std::move(name); }

  // A duplicate of the worker's descriptor.
  Opened Duplicate(int descriptor) const;

  // The name under which the worker was given `directory`; empty if it was not.
  std::string NameOf(const struct stat& directory) const;
  // Call before the worker gets it.
  void Remember(const struct stat& directory, std::string name);

 private:
  using Identity = std::pair<uint64_t, uint64_t>;  // device and inode
  static Identity Of(const struct stat& status) { return {status.st_dev, status.st_ino}; }
  // Forgets the directories that the worker has closed.
  void Sweep();

  const FdRef worker_;
  const int highest_descriptor_;
  std::string working_directory_ = "/";
  std::map<Identity, std::string> names_;
};

}  // namespace capbroker::sandbox

#endif  // SANDBOX_SUPERVISOR_WORKER_DIRECTORIES_H_
