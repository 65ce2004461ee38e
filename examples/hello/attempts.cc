#include "examples/hello/attempts.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "services/dns/resolver_client.h"
#include "services/file/file_client.h"
#include "services/group/group_client.h"

namespace capbroker::hello {
namespace {

void Add(v1::Report& report, std::string what, bool refused, std::string how) {
  v1::Attempt* attempt = report.add_attempts();
  attempt->set_what(std::move(what));
  attempt->set_refused(refused);
  attempt->set_how(std::move(how));
}

// A channel refuses with PERMISSION_DENIED; any other failure is not a refusal.
void AddCall(v1::Report& report, std::string what, const absl::Status& status) {
  Add(report, std::move(what), absl::IsPermissionDenied(status),
      status.ok() ? "allowed" : std::string(status.message()));
}

// A system call refuses with -1. `error`: errno right after it.
void AddSystemCall(v1::Report& report, std::string what, long result, int error) {
  Add(report, std::move(what), result < 0,
      result < 0 ? absl::StrCat("system call failed: ", strerrordesc_np(error)) : "allowed");
}

}  // namespace

void TryNames(dns::v1::Resolver::StubInterface& stub, v1::Report& report) {
  AddCall(report, "resolve another name", dns::Resolve(stub, "not-granted.example").status());
  AddCall(report, "find an address's name",
          dns::ReverseResolve(stub, *dns::IpAddress::Parse("127.0.0.1")).status());
}

void TryToWiden(const std::shared_ptr<Channel>& channel, dns::v1::Resolver::StubInterface& stub,
                v1::Report& report) {
  dns::v1::ResolverLimits everything;
  everything.add_names("*");
  everything.add_address_ranges("0.0.0.0/0");
  everything.add_address_ranges("::/0");
  everything.add_families(dns::v1::ADDRESS_FAMILY_INET);
  everything.add_families(dns::v1::ADDRESS_FAMILY_INET6);
  everything.add_directions(dns::v1::DIRECTION_FORWARD);
  everything.add_directions(dns::v1::DIRECTION_REVERSE);
  const auto narrowed = channel->Narrow(everything);
  AddCall(report, "ask for more, then resolve another",
          narrowed.ok() ? dns::Resolve(stub, "not-granted.example").status() : narrowed.status());
}

void TryPaths(file::v1::FileOpener::StubInterface& stub, const std::string& granted,
              v1::Report& report) {
  const file::Files files(stub);
  AddCall(report, "open another file", files.OpenForReading("/etc/passwd").status());
  AddCall(report, "open the granted file for writing",
          files.Open(granted, file::v1::ACCESS_READ_WRITE).status());
  AddCall(report, "look beside it",
          files.Stat(granted.substr(0, granted.rfind('/') + 1) + "not-granted").status());
}

void TryGroups(group::v1::GroupDatabase::StubInterface& stub, uint32_t granted,
               v1::Report& report) {
  const group::Groups groups(stub);
  AddCall(report, "look up another group", groups.FindById(granted + 1).status());
  AddCall(report, "look up a group by name", groups.FindByName("root").status());
}

void TryOnDescriptor(const UniqueFd& file, v1::Report& report) {
  long result = write(file.get(), "x", 1);
  AddSystemCall(report, "write to the file", result, errno);
  result = fchmod(file.get(), 0777);
  AddSystemCall(report, "change the file's mode", result, errno);
  result = open(absl::StrCat("/proc/self/fd/", file.get()).c_str(), O_RDWR | O_CLOEXEC);
  AddSystemCall(report, "reopen the file for writing", result, errno);
}

void TrySystemCalls(v1::Report& report) {
  long result = open("/etc/passwd", O_RDONLY | O_CLOEXEC);
  AddSystemCall(report, "open /etc/passwd", result, errno);
  result = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
  AddSystemCall(report, "open /proc/self/status", result, errno);
  result = mkdir("/tmp/not-granted", 0700);
  AddSystemCall(report, "make a directory", result, errno);
  result = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  AddSystemCall(report, "make a TCP socket", result, errno);
  result = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  AddSystemCall(report, "make a UNIX socket", result, errno);
  // The system call itself: libc's fork() takes locks that a refused clone leaves odd.
  result = syscall(SYS_clone, SIGCHLD, nullptr, nullptr, nullptr, 0);
  if (result == 0) _exit(0);
  AddSystemCall(report, "fork", result, errno);
  char* const nothing[] = {nullptr};
  result = execve("/bin/sh", nothing, nothing);
  AddSystemCall(report, "execute /bin/sh", result, errno);
  result = kill(getppid(), 0);
  AddSystemCall(report, "signal its parent", result, errno);
  result = kill(-1, 0);
  AddSystemCall(report, "signal everybody", result, errno);
  void* code =
      mmap(nullptr, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  AddSystemCall(report, "make memory executable", code == MAP_FAILED ? -1 : 0, errno);
  const rlimit more = {4096, 4096};
  result = setrlimit(RLIMIT_NOFILE, &more);
  AddSystemCall(report, "raise its own bounds", result, errno);
}

}  // namespace capbroker::hello
