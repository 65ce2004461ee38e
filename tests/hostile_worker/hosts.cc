#include "tests/hostile_worker/hosts.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
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
#include <string>

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

bool BecomeNobody() {
  if (geteuid() != 0) return true;  // an ordinary user already
  if (setgroups(0, nullptr) != 0 || setresgid(kNobody, kNobody, kNobody) != 0 ||
      setresuid(kNobody, kNobody, kNobody) != 0) {
    return false;
  }
  // As a process is that its user has started.
  return prctl(PR_SET_DUMPABLE, 1) == 0;
}

// Answers this call so, and allows all others.
bool InstallAnswer(long call, int error_number) {
  sock_filter program[] = {
      {BPF_LD | BPF_W | BPF_ABS, 0, 0, offsetof(seccomp_data, nr)},
      {BPF_JMP | BPF_JEQ | BPF_K, 0, 1, static_cast<uint32_t>(call)},
      {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ERRNO | static_cast<uint32_t>(error_number)},
      {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW},
  };
  const sock_fprog filter = {4, program};
  return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &filter) == 0;
}

}  // namespace

bool AsRoot() { return geteuid() == 0; }
bool AsOrdinaryUser() { return BecomeNobody(); }
bool AsRootWithoutUserNamespaces() { return EnterLastUserNamespace(); }
bool AsOrdinaryUserWithoutUserNamespaces() { return EnterLastUserNamespace() && BecomeNobody(); }
bool AsOrdinaryUserWithoutLandlock() {
  return BecomeNobody() && InstallAnswer(SYS_landlock_create_ruleset, ENOSYS);
}

bool AsRootWithoutReports() {
  sock_filter allow = {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW};
  const sock_fprog filter = {1, &allow};
  return geteuid() == 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &filter) >=
             0;
}

}  // namespace capbroker::hostile
