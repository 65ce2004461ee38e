#include "sandbox/layers/identity.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cinttypes>
#include <cstdio>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "base/errno_status.h"
#include "base/unique_fd.h"

namespace capbroker::sandbox {
namespace {

struct Capabilities {
  __user_cap_data_struct words[2] = {};
};

bool GetCapabilities(Capabilities& capabilities) {
  __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  return syscall(SYS_capget, &header, capabilities.words) == 0;
}

// One line, in one write, as the kernel demands of maps. 0 or an errno.
int WriteFile(const char* path, const char* text) {
  const UniqueFd file(open(path, O_WRONLY | O_CLOEXEC));
  if (!file.valid()) return errno;
  const ssize_t size = static_cast<ssize_t>(strlen(text));
  const ssize_t written = write(file.get(), text, static_cast<size_t>(size));
  if (written < 0) return errno;
  return written == size ? 0 : EIO;
}

// True if every worker id exists in this process's own user namespace.
bool CoversWorkerIds(const char* map_path) {
  std::FILE* map = std::fopen(map_path, "re");
  if (map == nullptr) return false;
  uint32_t inside, outside, count;
  bool covers = false;
  while (std::fscanf(map, "%" SCNu32 " %" SCNu32 " %" SCNu32, &inside, &outside, &count) == 3) {
    covers |= inside <= kFirstWorkerId &&
              uint64_t{inside} + count >= uint64_t{kFirstWorkerId} + kWorkerIdCount;
  }
  std::fclose(map);
  return covers;
}

}  // namespace

bool HasCapability(int capability) {
  Capabilities capabilities;
  return GetCapabilities(capabilities) &&
         (capabilities.words[capability / 32].effective & (1u << (capability % 32))) != 0;
}

bool MayAssignIds() {
  return HasCapability(CAP_SETUID) && HasCapability(CAP_SETGID) &&
         CoversWorkerIds("/proc/self/uid_map") && CoversWorkerIds("/proc/self/gid_map");
}

bool HasNoSupplementaryGroups() {
  gid_t groups[2];
  const int count = getgroups(2, groups);
  return count == 0 || (count == 1 && groups[0] == getegid());
}

absl::Status MapIdsFromOutside(pid_t pid, Ids ids, std::optional<Ids> nobody) {
  const struct {
    const char* file;
    uint32_t id;
    uint32_t nobody, inside;
  } maps[] = {{"uid_map", ids.uid, nobody.value_or(Ids{}).uid, kNobody.uid},
              {"gid_map", ids.gid, nobody.value_or(Ids{}).gid, kNobody.gid}};
  for (const auto& map : maps) {
    const std::string path = absl::StrCat("/proc/", pid, "/", map.file);
    std::string line = absl::StrCat(map.id, " ", map.id, " 1\n");
    if (nobody.has_value()) absl::StrAppend(&line, map.inside, " ", map.nobody, " 1\n");
    const int error = WriteFile(path.c_str(), line.c_str());
    if (error != 0) return ErrnoToStatus(error, absl::StrCat("map ids of worker: ", map.file));
  }
  return absl::OkStatus();
}

StepResult MapOwnIds(Ids outside) {
  // The files belong to root while the process is not dumpable, as a careful
  // application may be.
  if (prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) != 0) return FailedWithErrno(Step::kUidMap);
  const Ids inside = outside.uid == 0 ? kNobody : outside;
  char line[64];
  int error = WriteFile("/proc/self/setgroups", "deny");
  if (error != 0) return FailedWith(Step::kUidMap, error);
  std::snprintf(line, sizeof line, "%u %u 1", inside.uid, outside.uid);
  error = WriteFile("/proc/self/uid_map", line);
  if (error != 0) return FailedWith(Step::kUidMap, error);
  std::snprintf(line, sizeof line, "%u %u 1", inside.gid, outside.gid);
  error = WriteFile("/proc/self/gid_map", line);
  return error == 0 ? Done() : FailedWith(Step::kUidMap, error);
}

StepResult DropGroups() {
  return syscall(SYS_setgroups, 0, nullptr) == 0 ? Done() : FailedWithErrno(Step::kIdentity);
}

StepResult TakeIds(Ids ids) {
  if (StepResult result = DropGroups(); !result.ok()) return result;
  if (syscall(SYS_setresgid, ids.gid, ids.gid, ids.gid) != 0 ||
      syscall(SYS_setresuid, ids.uid, ids.uid, ids.uid) != 0) {
    return FailedWithErrno(Step::kIdentity);
  }
  uid_t real, effective, saved;
  if (getresuid(&real, &effective, &saved) != 0 || real != ids.uid || effective != ids.uid ||
      saved != ids.uid) {
    return FailedWith(Step::kIdentity, EPERM);
  }
  return Done();
}

StepResult TakeSplitIds(Ids real, Ids effective) {
  if (StepResult result = DropGroups(); !result.ok()) return result;
  if (syscall(SYS_setresgid, real.gid, effective.gid, effective.gid) != 0 ||
      syscall(SYS_setresuid, real.uid, effective.uid, effective.uid) != 0) {
    return FailedWithErrno(Step::kIdentity);
  }
  return Done();
}

StepResult EmptyBoundingSet() {
  if (!HasCapability(CAP_SETPCAP)) return Done();
  for (int capability = 0; capability < 64; ++capability) {
    if (prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) != 0) {
      if (errno == EINVAL && capability > 0) break;  // one above the kernel's last
      return FailedWithErrno(Step::kCapabilities);
    }
  }
  return Done();
}

bool IsBoundingSetEmpty() {
  for (int capability = 0; capability < 64; ++capability) {
    const int bounded = prctl(PR_CAPBSET_READ, capability, 0, 0, 0);
    if (bounded < 0) return errno == EINVAL && capability > 0;
    if (bounded != 0) return false;
  }
  return true;
}

StepResult LockCapabilityRules() {
  if (!HasCapability(CAP_SETPCAP)) return Done();
  constexpr unsigned long kLocked = SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_NO_SETUID_FIXUP |
                                    SECBIT_NO_SETUID_FIXUP_LOCKED | SECBIT_KEEP_CAPS_LOCKED |
                                    SECBIT_NO_CAP_AMBIENT_RAISE |
                                    SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED;
  if (prctl(PR_SET_SECUREBITS, kLocked, 0, 0, 0) != 0) return FailedWithErrno(Step::kCapabilities);
  return Done();
}

StepResult LockCapabilities() {
  const StepResult locked = LockCapabilityRules();
  return locked.ok() ? EmptyBoundingSet() : locked;
}

StepResult DropCapabilities(uint64_t kept) {
  if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) != 0) {
    return FailedWithErrno(Step::kCapabilities);
  }
  __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  Capabilities wanted;
  if (kept != 0) {
    Capabilities present;
    if (!GetCapabilities(present)) return FailedWithErrno(Step::kCapabilities);
    for (int word = 0; word < 2; ++word) {
      wanted.words[word].effective = wanted.words[word].permitted =
          present.words[word].effective & static_cast<uint32_t>(kept >> (32 * word));
    }
  }
  if (syscall(SYS_capset, &header, wanted.words) != 0) return FailedWithErrno(Step::kCapabilities);
  Capabilities left;
  if (!GetCapabilities(left)) return FailedWithErrno(Step::kCapabilities);
  return std::memcmp(&left, &wanted, sizeof wanted) == 0 ? Done()
                                                         : FailedWith(Step::kCapabilities, EPERM);
}

}  // namespace capbroker::sandbox
