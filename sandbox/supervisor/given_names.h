// The names under which the worker was given what it has open.
//
// A descriptor's number says nothing (the worker can duplicate and rearrange them), so the
// worker's descriptor is looked at (worker_descriptors.h), and known again by device and inode.
// That only finds the *name* under which the file or directory was opened, and gives nothing: the
// name is looked up anew, beneath its grant, and has to lead to that same object still. What the
// worker got elsewhere is therefore good for nothing.
//
// Lives in: the supervisor.
#ifndef SANDBOX_SUPERVISOR_GIVEN_NAMES_H_
#define SANDBOX_SUPERVISOR_GIVEN_NAMES_H_

#include <sys/stat.h>

#include <cstdint>
#include <list>
#include <map>
#include <string>
#include <utility>

namespace capbroker::sandbox {

class GivenNames {
 public:
  // The name under which the worker was given this object; empty if it was not, or if it was given
  // kMost others since it was last used.
  std::string NameOf(const struct stat& object);
  // Call before the worker gets it.
  void Remember(const struct stat& object, std::string name);

  static constexpr size_t kMost = 4096;

 private:
  using Identity = std::pair<uint64_t, uint64_t>;  // device and inode
  static Identity Of(const struct stat& status) { return {status.st_dev, status.st_ino}; }

  std::list<std::pair<Identity, std::string>> names_;  // the last used one first
  std::map<Identity, decltype(names_)::iterator> places_;
};

}  // namespace capbroker::sandbox

#endif  // SANDBOX_SUPERVISOR_GIVEN_NAMES_H_
