#include "sandbox/supervisor/worker_directories.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

namespace capbroker::sandbox {

Opened WorkerDirectories::Duplicate(int descriptor) const {
  UniqueFd fd(static_cast<int>(syscall(SYS_pidfd_getfd, worker_.get(), descriptor, 0)));
  const int error = fd.valid() ? 0 : errno;
  return {std::move(fd), error};
}

std::string WorkerDirectories::NameOf(const struct stat& directory) const {
  const auto found = names_.find(Of(directory));
  return found == names_.end() ? std::string() : found->second;
}

void WorkerDirectories::Remember(const struct stat& directory, std::string name) {
  // A worker holds no more than that at once, in whatever it is told to remember.
  if (names_.size() >= 2 * static_cast<size_t>(highest_descriptor_)) Sweep();
  names_[Of(directory)] = std::move(name);
}

void WorkerDirectories::Sweep() {
  std::map<Identity, std::string> held;
  for (int descriptor = 0; descriptor <= highest_descriptor_; ++descriptor) {
    const Opened duplicate = Duplicate(descriptor);
    struct stat status;
    if (!duplicate.fd.valid() || fstat(duplicate.fd.get(), &status) != 0) continue;
    if (auto name = names_.extract(Of(status)); !name.empty()) held.insert(std::move(name));
  }
  names_ = std::move(held);
}

}  // namespace capbroker::sandbox
