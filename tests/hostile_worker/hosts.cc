#include "tests/hostile_worker/hosts.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/unique_fd.h"
#include "sandbox/table/system_calls.h"

namespace capbroker::hostile {
namespace {

constexpr uid_t kNobody = 65534;
uid_t ordinary_user = kNobody;

bool WriteTo(const std::string& path, const std::string& text) {
  const UniqueFd file(open(path.c_str(), O_WRONLY | O_CLOEXEC));
  return write(file.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size());
}

// Every id that this user namespace has, to itself.
std::string IdentityMap(const char* path) {
  std::ifstream map(path);
  std::string lines, inside, outside, count;
  while (map >> inside >> outside >> count)
    absl::StrAppend(&lines, inside, " ", inside, " ", count, "\n");
  return lines;
}

// In a user namespace with the same ids, which may have no further ones. Maps of more than one id
// are written from outside.
bool EnterLastUserNamespace() {
  int go[2];
  if (pipe2(go, O_CLOEXEC) != 0) return false;
  const pid_t child = getpid();
  const pid_t writer = fork();
  char byte = 'x';
  if (writer == 0) {
    close(go[1]);  // or there would be no end of it
    if (read(go[0], &byte, 1) != 1) _exit(1);
    const std::string folder = absl::StrCat("/proc/", child);
    _exit(WriteTo(folder + "/uid_map", IdentityMap("/proc/self/uid_map")) &&
                  WriteTo(folder + "/gid_map", IdentityMap("/proc/self/gid_map"))
              ? 0
              : 1);
  }
  int status = 1;
  const bool unshared = unshare(CLONE_NEWUSER) == 0 && write(go[1], &byte, 1) == 1;
  for (const int fd : go) close(fd);
  waitpid(writer, &status, 0);
  return unshared && status == 0 && WriteTo("/proc/sys/user/max_user_namespaces", "0\n");
}

bool BecomeOrdinaryUser() {
  if (geteuid() != 0) return true;  // one already
  const uid_t id = ordinary_user;
  if (setgroups(0, nullptr) != 0 || setresgid(id, id, id) != 0 || setresuid(id, id, id) != 0) {
    return false;
  }
  // As a process is that its user has started.
  return prctl(PR_SET_DUMPABLE, 1) == 0;
}

// Answers calls with errors, and allows all others.
class Answers {
 public:
  Answers() { Load(offsetof(seccomp_data, nr)); }
  void Fail(long call, int error_number) {
    program_.push_back({BPF_JMP | BPF_JEQ | BPF_K, 0, 1, static_cast<uint32_t>(call)});
    Return(error_number);
  }
  void FailFrom(long call, int error_number) {
    program_.push_back({BPF_JMP | BPF_JGE | BPF_K, 0, 1, static_cast<uint32_t>(call)});
    Return(error_number);
  }
  // Calls of which the low half of the first argument has one of these bits. Comes last.
  void FailWith(long call, uint32_t bits, int error_number) {
    program_.push_back({BPF_JMP | BPF_JEQ | BPF_K, 0, 3, static_cast<uint32_t>(call)});
    Load(offsetof(seccomp_data, args));
    program_.push_back({BPF_JMP | BPF_JSET | BPF_K, 0, 1, bits});
    Return(error_number);
  }
  bool Install() {
    program_.push_back({BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW});
    const sock_fprog filter = {static_cast<unsigned short>(program_.size()), program_.data()};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &filter) == 0;
  }

 private:
  void Load(size_t offset) {
    program_.push_back({BPF_LD | BPF_W | BPF_ABS, 0, 0, static_cast<uint32_t>(offset)});
  }
  void Return(int error_number) {
    program_.push_back(
        {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ERRNO | static_cast<uint32_t>(error_number)});
  }
  std::vector<sock_filter> program_;
};

// What Docker's default profile forbids who has Docker's default capabilities. It lists what is
// allowed; of what it knows this is the rest.
constexpr const char* kForbiddenInDocker[] = {
    "acct",          "add_key",         "bpf",           "clock_settime",
    "delete_module", "fanotify_init",   "finit_module",  "fsconfig",
    "fsmount",       "fsopen",          "fspick",        "get_mempolicy",
    "init_module",   "io_uring_enter",  "ioperm",        "io_uring_register",
    "iopl",          "io_uring_setup",  "kcmp",          "kexec_file_load",
    "kexec_load",    "keyctl",          "mbind",         "lookup_dcookie",
    "migrate_pages", "mount",           "mount_setattr", "move_mount",
    "move_pages",    "nfsservctl",      "open_tree",     "open_by_handle_at",
    "pidfd_getfd",   "perf_event_open", "pivot_root",    "process_madvise",
    "quotactl",      "quotactl_fd",     "reboot",        "request_key",
    "setdomainname", "set_mempolicy",   "sethostname",   "set_mempolicy_home_node",
    "setns",         "settimeofday",    "swapoff",       "swapon",
    "sysfs",         "syslog",          "umount2",       "unshare",
    "uselib",        "userfaultfd",     "ustat",         "vhangup",
};
// Of Linux 6.5. What is newer than a profile does not exist for it.
constexpr long kNewerThanDocker = 451;
constexpr uint32_t kNamespaces = 0x7e020000;  // CLONE_NEW* but that of time

bool EnterDocker(bool landlock) {
  Answers answers;
  answers.Fail(SYS_clone3, ENOSYS);
  if (!landlock) answers.Fail(SYS_landlock_create_ruleset, ENOSYS);
  for (const char* name : kForbiddenInDocker) {
    const std::optional<int> call = sandbox::SystemCallNumber(name, sandbox::kNativeArchitecture);
    if (call.has_value()) answers.Fail(*call, EPERM);
  }
  answers.FailFrom(kNewerThanDocker, ENOSYS);
  answers.FailWith(SYS_clone, kNamespaces, EPERM);
  return answers.Install();
}

bool KeepDockersCapabilities() {
  constexpr int kKept[] = {CAP_CHOWN,   CAP_DAC_OVERRIDE, CAP_FSETID,           CAP_FOWNER,
                           CAP_MKNOD,   CAP_NET_RAW,      CAP_SETGID,           CAP_SETUID,
                           CAP_SETFCAP, CAP_SETPCAP,      CAP_NET_BIND_SERVICE, CAP_SYS_CHROOT,
                           CAP_KILL,    CAP_AUDIT_WRITE};
  __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  __user_cap_data_struct sets[2] = {};
  for (const int kept : kKept) {
    sets[kept / 32].effective |= 1u << (kept % 32);
    sets[kept / 32].permitted |= 1u << (kept % 32);
  }
  for (int capability = 0; capability <= CAP_LAST_CAP; ++capability) {
    const bool kept = (sets[capability / 32].permitted & (1u << (capability % 32))) != 0;
    if (!kept && prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) != 0) return false;
  }
  return syscall(SYS_capset, &header, sets) == 0;
}

}  // namespace

void HaveOrdinaryUser(uid_t id) { ordinary_user = id; }

bool AsRoot() { return geteuid() == 0; }
bool AsOrdinaryUser() { return BecomeOrdinaryUser(); }
bool AsRootWithoutUserNamespaces() { return EnterLastUserNamespace(); }
bool AsOrdinaryUserWithoutUserNamespaces() {
  return EnterLastUserNamespace() && BecomeOrdinaryUser();
}
bool AsOrdinaryUserWithoutLandlock() {
  if (!BecomeOrdinaryUser()) return false;
  Answers answers;
  answers.Fail(SYS_landlock_create_ruleset, ENOSYS);
  return answers.Install();
}

bool AsRootWithoutReports() {
  sock_filter allow = {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW};
  const sock_fprog filter = {1, &allow};
  return geteuid() == 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &filter) >=
             0;
}

bool AsRootInDocker() {
  return geteuid() == 0 && KeepDockersCapabilities() && EnterDocker(/*landlock=*/true);
}
bool AsOrdinaryUserInDocker() { return BecomeOrdinaryUser() && EnterDocker(/*landlock=*/true); }
bool AsOrdinaryUserInDockerWithoutLandlock() {
  return BecomeOrdinaryUser() && EnterDocker(/*landlock=*/false);
}

}  // namespace capbroker::hostile
