#include "tests/hostile_worker/hosts.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/audit.h>
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
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/unique_fd.h"

namespace capbroker::hostile {
namespace {

constexpr uid_t kNobody = 65534;

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
  int go[2], done[2];
  if (pipe2(go, O_CLOEXEC) != 0 || pipe2(done, O_CLOEXEC) != 0) return false;
  const pid_t child = getpid();
  const pid_t writer = fork();
  char byte = 'x';
  if (writer == 0) {
    if (read(go[0], &byte, 1) != 1) _exit(1);
    const std::string folder = absl::StrCat("/proc/", child);
    _exit(WriteTo(folder + "/uid_map", IdentityMap("/proc/self/uid_map")) &&
                  WriteTo(folder + "/gid_map", IdentityMap("/proc/self/gid_map"))
              ? 0
              : 1);
  }
  int status = 1;
  const bool unshared = unshare(CLONE_NEWUSER) == 0 && write(go[1], &byte, 1) == 1;
  for (const int fd : {go[0], go[1], done[0], done[1]}) close(fd);
  waitpid(writer, &status, 0);
  return unshared && status == 0 && WriteTo("/proc/sys/user/max_user_namespaces", "0\n");
}

bool BecomeNobody() {
  if (setgroups(0, nullptr) != 0 || setresgid(kNobody, kNobody, kNobody) != 0 ||
      setresuid(kNobody, kNobody, kNobody) != 0) {
    return false;
  }
  // As a process is that its user has started.
  return prctl(PR_SET_DUMPABLE, 1) == 0;
}

struct Answer {
  long call;
  int error_number;
};

// Answers these calls so, and allows all others. `new_namespaces`: whether clone may make any.
bool InstallAnswers(const std::vector<Answer>& answers, bool new_namespaces) {
  std::vector<sock_filter> program = {
      {BPF_LD | BPF_W | BPF_ABS, 0, 0, offsetof(seccomp_data, nr)},
  };
  for (const Answer& answer : answers) {
    program.push_back({BPF_JMP | BPF_JEQ | BPF_K, 0, 1, static_cast<uint32_t>(answer.call)});
    program.push_back(
        {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ERRNO | static_cast<uint32_t>(answer.error_number)});
  }
  if (!new_namespaces) {
    constexpr uint32_t kNamespaces = 0x7e020000;
    program.push_back({BPF_JMP | BPF_JEQ | BPF_K, 0, 3, SYS_clone});
    program.push_back({BPF_LD | BPF_W | BPF_ABS, 0, 0, offsetof(seccomp_data, args)});
    program.push_back({BPF_JMP | BPF_JSET | BPF_K, 0, 1, kNamespaces});
    program.push_back({BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ERRNO | EPERM});
  }
  program.push_back({BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW});
  const sock_fprog filter = {static_cast<unsigned short>(program.size()), program.data()};
  return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &filter) == 0;
}

}  // namespace

bool AsRoot() { return geteuid() == 0; }
bool AsOrdinaryUser() { return BecomeNobody(); }
bool AsRootWithoutUserNamespaces() { return EnterLastUserNamespace(); }
bool AsOrdinaryUserWithoutUserNamespaces() { return EnterLastUserNamespace() && BecomeNobody(); }
bool AsOrdinaryUserWithoutLandlock() {
  return BecomeNobody() && InstallAnswers({{SYS_landlock_create_ruleset, ENOSYS}}, true);
}

bool AsRootWithoutReports() {
  sock_filter allow = {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW};
  const sock_fprog filter = {1, &allow};
  return geteuid() == 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &filter) >=
             0;
}

bool AsRootInDocker() {
  constexpr int kKept[] = {CAP_CHOWN,   CAP_DAC_OVERRIDE, CAP_FSETID,           CAP_FOWNER,
                           CAP_MKNOD,   CAP_NET_RAW,      CAP_SETGID,           CAP_SETUID,
                           CAP_SETFCAP, CAP_SETPCAP,      CAP_NET_BIND_SERVICE, CAP_SYS_CHROOT,
                           CAP_KILL,    CAP_AUDIT_WRITE};
  __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  __user_cap_data_struct capabilities[2] = {};
  for (const int kept : kKept) {
    capabilities[kept / 32].effective |= 1u << (kept % 32);
    capabilities[kept / 32].permitted |= 1u << (kept % 32);
  }
  for (int capability = 0; capability < 64; ++capability) {
    const bool kept = (capabilities[capability / 32].permitted & (1u << (capability % 32))) != 0;
    if (!kept) prctl(PR_CAPBSET_DROP, capability, 0, 0, 0);
  }
  if (syscall(SYS_capset, &header, capabilities) != 0) return false;
  std::vector<Answer> answers = {{SYS_clone3, ENOSYS}};
  for (const long call : {SYS_acct,
                          SYS_add_key,
                          SYS_bpf,
                          SYS_clock_adjtime,
                          SYS_clock_settime,
                          SYS_delete_module,
                          SYS_fanotify_init,
                          SYS_finit_module,
                          SYS_fsconfig,
                          SYS_fsmount,
                          SYS_fsopen,
                          SYS_fspick,
                          SYS_init_module,
                          SYS_io_uring_enter,
                          SYS_io_uring_register,
                          SYS_io_uring_setup,
                          SYS_ioperm,
                          SYS_iopl,
                          SYS_kexec_file_load,
                          SYS_kexec_load,
                          SYS_keyctl,
                          SYS_lookup_dcookie,
                          SYS_mount,
                          SYS_mount_setattr,
                          SYS_move_mount,
                          SYS_open_by_handle_at,
                          SYS_open_tree,
                          SYS_perf_event_open,
                          SYS_pivot_root,
                          SYS_quotactl,
                          SYS_reboot,
                          SYS_request_key,
                          SYS_setdomainname,
                          SYS_sethostname,
                          SYS_setns,
                          SYS_settimeofday,
                          SYS_swapoff,
                          SYS_swapon,
                          SYS_syslog,
                          SYS_umount2,
                          SYS_unshare,
                          SYS_userfaultfd,
                          SYS_vhangup}) {
    answers.push_back({call, EPERM});
  }
  return InstallAnswers(answers, false);
}

}  // namespace capbroker::hostile
