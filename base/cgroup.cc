#include "base/cgroup.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <memory>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "base/errno_status.h"
#include "base/status_macros.h"

namespace capbroker {
namespace {

constexpr absl::Duration kBetweenTries = absl::Milliseconds(1);

std::vector<std::string> Words(absl::string_view text) {
  return absl::StrSplit(text, absl::ByAnyChar(" \n"), absl::SkipEmpty());
}

absl::StatusOr<UniqueFd> OpenDirectory(int beneath, const std::string& path) {
  UniqueFd directory(openat(beneath, path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory.valid()) return ErrnoToStatus(errno, absl::StrCat("open cgroup ", path));
  return directory;
}

}  // namespace

absl::StatusOr<Cgroup> Cgroup::Open(const std::string& path) {
  CB_ASSIGN_OR_RETURN(UniqueFd directory, OpenDirectory(AT_FDCWD, path));
  struct statfs file_system;
  if (fstatfs(directory.get(), &file_system) != 0) return ErrnoToStatus(errno, path);
  if (file_system.f_type != CGROUP2_SUPER_MAGIC) {
    return absl::FailedPreconditionError(absl::StrCat(path, ": not a cgroup of version 2"));
  }
  return Cgroup(std::move(directory));
}

absl::StatusOr<UniqueFd> Cgroup::OpenFile(const std::string& file, int flags) const {
  UniqueFd opened(openat(directory_.get(), file.c_str(), flags | O_CLOEXEC | O_NOFOLLOW));
  if (!opened.valid()) return ErrnoToStatus(errno, absl::StrCat("open ", file));
  return opened;
}

absl::StatusOr<std::string> Cgroup::Read(const std::string& file) const {
  CB_ASSIGN_OR_RETURN(const UniqueFd opened, OpenFile(file, O_RDONLY));
  std::string text;
  char part[4096];
  ssize_t got;
  while ((got = read(opened.get(), part, sizeof part)) > 0) {
    text.append(part, static_cast<size_t>(got));
  }
  if (got < 0) return ErrnoToStatus(errno, absl::StrCat("read ", file));
  return text;
}

absl::Status Cgroup::Write(const std::string& file, absl::string_view value) const {
  CB_ASSIGN_OR_RETURN(const UniqueFd opened, OpenFile(file, O_WRONLY));
  if (write(opened.get(), value.data(), value.size()) == static_cast<ssize_t>(value.size())) {
    return absl::OkStatus();
  }
  return ErrnoToStatus(errno, absl::StrCat("write \"", value, "\" to ", file));
}

absl::StatusOr<uint64_t> Cgroup::ReadCount(const std::string& file, absl::string_view key) const {
  CB_ASSIGN_OR_RETURN(const std::string text, Read(file));
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    uint64_t count = 0;
    if (absl::ConsumePrefix(&line, key) && absl::ConsumePrefix(&line, " ") &&
        absl::SimpleAtoi(line, &count)) {
      return count;
    }
  }
  return uint64_t{0};
}

absl::StatusOr<std::vector<std::string>> Cgroup::AvailableControllers() const {
  CB_ASSIGN_OR_RETURN(const std::string text, Read("cgroup.controllers"));
  return Words(text);
}

absl::StatusOr<std::vector<std::string>> Cgroup::EnabledControllers() const {
  CB_ASSIGN_OR_RETURN(const std::string text, Read("cgroup.subtree_control"));
  return Words(text);
}

absl::Status Cgroup::EnableControllers(const std::vector<std::string>& controllers) const {
  CB_ASSIGN_OR_RETURN(const std::vector<std::string> enabled, EnabledControllers());
  std::vector<std::string> missing;
  for (const std::string& controller : controllers) {
    if (std::find(enabled.begin(), enabled.end(), controller) == enabled.end()) {
      missing.push_back(absl::StrCat("+", controller));
    }
  }
  if (missing.empty()) return absl::OkStatus();
  const std::string text = absl::StrJoin(missing, " ");
  CB_ASSIGN_OR_RETURN(const UniqueFd file, OpenFile("cgroup.subtree_control", O_WRONLY));
  if (write(file.get(), text.data(), text.size()) >= 0) return absl::OkStatus();
  if (errno == EBUSY) {
    return absl::FailedPreconditionError(
        absl::StrCat("enable ", text, ": processes are in the cgroup"));
  }
  return ErrnoToStatus(errno, absl::StrCat("enable ", text));
}

absl::StatusOr<Cgroup> Cgroup::MakeChild(const std::string& name) const {
  if (mkdirat(directory_.get(), name.c_str(), 0755) != 0) {
    return ErrnoToStatus(errno, absl::StrCat("make cgroup ", name));
  }
  return OpenChild(name);
}

absl::StatusOr<Cgroup> Cgroup::OpenChild(const std::string& name) const {
  CB_ASSIGN_OR_RETURN(UniqueFd directory, OpenDirectory(directory_.get(), name));
  return Cgroup(std::move(directory));
}

absl::StatusOr<std::vector<std::string>> Cgroup::Children() const {
  CB_ASSIGN_OR_RETURN(UniqueFd again, OpenDirectory(directory_.get(), "."));
  const std::unique_ptr<DIR, int (*)(DIR*)> listing(fdopendir(again.get()), closedir);
  if (listing == nullptr) return ErrnoToStatus(errno, "list cgroups");
  (void)std::move(again).Release();
  std::vector<std::string> children;
  while (const dirent* const entry = readdir(listing.get())) {
    if (entry->d_type == DT_DIR && entry->d_name[0] != '.') children.emplace_back(entry->d_name);
  }
  return children;
}

absl::Status Cgroup::RemoveChild(const std::string& name, absl::Duration patience) const {
  const auto is_gone = [&] {
    return unlinkat(directory_.get(), name.c_str(), AT_REMOVEDIR) == 0 || errno == ENOENT;
  };
  if (is_gone()) return absl::OkStatus();
  CB_ASSIGN_OR_RETURN(const Cgroup child, OpenChild(name));
  CB_RETURN_IF_ERROR(child.Write("cgroup.kill", "1"));  // with all that is beneath
  for (const absl::Time deadline = absl::Now() + patience;; absl::SleepFor(kBetweenTries)) {
    CB_ASSIGN_OR_RETURN(const std::vector<std::string> children, child.Children());
    for (const std::string& grandchild : children) {
      (void)child.RemoveChild(grandchild, absl::ZeroDuration());
    }
    if (is_gone()) return absl::OkStatus();
    if (errno != EBUSY) return ErrnoToStatus(errno, absl::StrCat("remove cgroup ", name));
    if (absl::Now() >= deadline) {
      return absl::UnavailableError(absl::StrCat("remove cgroup ", name, ": it is not empty yet"));
    }
  }
}

}  // namespace capbroker
