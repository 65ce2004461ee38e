#include "sandbox/policies/zygote_policy.h"

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "sandbox/init.h"
#include "sandbox/policies/service_policy.h"
#include "sandbox/policies/worker_policy.h"
#include "sandbox/supervisor/supervisor.h"

namespace capbroker::sandbox {
namespace {

// What `policy` allows for some arguments.
void AddAllowed(const Policy& policy, std::set<std::string>& calls) {
  for (const Row& row : policy.rows()) {
    const auto allows = [](const Clause& clause) { return clause.outcome == Allow(); };
    if (*row.otherwise() == Allow() ||
        std::any_of(row.clauses().begin(), row.clauses().end(), allows)) {
      calls.insert(row.calls().begin(), row.calls().end());
    }
  }
}

std::set<std::string> AllowedToChildren() {
  std::set<std::string> calls;
  for (const auto kind : {WorkerTable::Kind::kForked, WorkerTable::Kind::kExecuted}) {
    AddAllowed(WorkerPolicy({.kind = kind, .resizes_files = true, .makes_code = true}), calls);
  }
  AddAllowed(WorkerPolicy({.kind = WorkerTable::Kind::kExecuted,
                           .resizes_files = true,
                           .supervised = true,
                           .processes = true,
                           .scopes_signals = true,
                           .connects = true}),
             calls);
  AddAllowed(InitPolicy(), calls);
  AddAllowed(SupervisorPolicy({.connects = true}), calls);
  AddAllowed(SupervisorPolicy({.sight = DescriptorSight::kHandles}), calls);
  AddAllowed(ServicePolicy({.reads_files = true,
                            .serves_files = true,
                            .tcp = true,
                            .tcp_servers = true,
                            .udp = true,
                            .local_sockets = true,
                            .routes = true}),
             calls);
  return calls;
}

// What it takes to make children.
Policy OwnRows() {
  Policy p;
  p.Add(On("clone", "clone3", "fork", "vfork", "setsid", "setpgid", "umask", "chdir", "fchdir",
           "personality", "setrlimit", "prlimit64", "prctl", "arch_prctl", "dup3", "close_range",
           "waitid", "wait4", "pidfd_open", "pidfd_send_signal", "kill", "tgkill", "execve",
           "execveat", "signalfd4")
            .Always(Allow())
            .For("processes, and what they begin with"));
  p.Add(On("unshare", "mount", "umount2", "pivot_root", "fsopen", "fsconfig", "fsmount",
           "open_tree", "move_mount", "mount_setattr", "mkdirat", "mkdir", "symlinkat",
           "sethostname", "setdomainname", "setns", "chroot")
            .Always(Allow())
            .For("workers' namespaces and roots"));
  p.Add(On("setgroups", "setresgid", "setresuid", "capget", "capset")
            .Always(Allow())
            .For("who workers and services are"));
  p.Add(On("landlock_create_ruleset", "landlock_add_rule", "landlock_restrict_self", "seccomp")
            .Always(Allow())
            .For("the layers below this one"));
  p.Add(On("socket", "bind", "listen", "accept", "accept4", "connect", "inotify_init1",
           "inotify_add_watch", "inotify_rm_watch", "mknod", "mknodat", "rename", "renameat",
           "renameat2", "link", "linkat", "symlink", "rmdir", "unlink", "creat", "truncate",
           "chmod", "fchmod", "fchmodat", "chown", "lchown", "fchown", "fchownat", "utimensat",
           "utimes", "copy_file_range", "sendfile", "splice", "ioctl", "rt_tgsigqueueinfo",
           "getpriority", "setpriority", "sched_setaffinity", "membarrier", "mlock", "mlock2",
           "readahead", "sync_file_range", "signalfd")
            .Always(Allow())
            .For("services that declare calls of their own, or that nothing confines"));
  return p;
}

}  // namespace

Policy ZygotePolicy() {
  Policy own = OwnRows();
  std::set<std::string> left = AllowedToChildren();
  for (const Row& row : own.rows()) {
    for (const std::string& call : row.calls()) left.erase(call);
  }
  Policy p = std::move(own);
  p.Add(Row(std::vector<std::string>(left.begin(), left.end()))
            .Always(Allow())
            .For("what workers, inits, supervisors and services may do"));
  return p;
}

}  // namespace capbroker::sandbox
