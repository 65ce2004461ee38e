// Cgroups (version 2, cgroups(7)) by descriptor: the directory of one, and what it is told and
// tells.
//
// Every name is taken beneath that directory, so that nothing is found by a path a second time.
// Runs in: whoever makes cgroups. Single-threaded use of one object.
#ifndef BASE_CGROUP_H_
#define BASE_CGROUP_H_

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/unique_fd.h"

namespace capbroker {

class Cgroup {
 public:
  Cgroup() = default;
  // A directory that Open() or a child's maker has checked.
  explicit Cgroup(UniqueFd directory) : directory_(std::move(directory)) {}

  // FAILED_PRECONDITION: the directory is of another file system than cgroup2.
  static absl::StatusOr<Cgroup> Open(const std::string& path);

  bool valid() const { return directory_.valid(); }
  FdRef directory() const { return directory_; }
  UniqueFd Take() && { return std::move(directory_); }

  // `file` is one of the kernel's: "cgroup.procs".
  absl::StatusOr<UniqueFd> OpenFile(const std::string& file, int flags) const;
  absl::StatusOr<std::string> Read(const std::string& file) const;
  absl::Status Write(const std::string& file, absl::string_view value) const;
  // The number after `key` in a file of lines "key number"; 0 if there is none.
  absl::StatusOr<uint64_t> ReadCount(const std::string& file, absl::string_view key) const;

  // Controllers that may be enabled for its children, and those that are.
  absl::StatusOr<std::vector<std::string>> AvailableControllers() const;
  absl::StatusOr<std::vector<std::string>> EnabledControllers() const;
  // All of them, or none. FAILED_PRECONDITION: processes are in it, and the kernel has controllers
  // work between children only.
  absl::Status EnableControllers(const std::vector<std::string>& controllers) const;

  // ALREADY_EXISTS.
  absl::StatusOr<Cgroup> MakeChild(const std::string& name) const;
  // NOT_FOUND.
  absl::StatusOr<Cgroup> OpenChild(const std::string& name) const;
  absl::StatusOr<std::vector<std::string>> Children() const;
  // With all beneath it; kills what runs there. A child that is not there is no error. UNAVAILABLE:
  // after `patience` somebody was dying still.
  absl::Status RemoveChild(const std::string& name, absl::Duration patience) const;

 private:
  UniqueFd directory_;
};

}  // namespace capbroker

#endif  // BASE_CGROUP_H_
