#include "broker/zygote/process.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/errno_status.h"

namespace capbroker::broker {
namespace {

constexpr rlim_t kMostServiceDescriptors = 8192;

DIR* open_descriptors = nullptr;  // never closed

absl::Status CloseRange(unsigned first, unsigned last) {
  if (first > last || syscall(SYS_close_range, first, last, 0u) == 0) return absl::OkStatus();
  return ErrnoToStatus(errno, "close descriptors");
}

}  // namespace

void ResetSignals() {
  struct sigaction fresh = {};
  fresh.sa_handler = SIG_DFL;
  // Fails for SIGKILL, SIGSTOP and the C library's own.
  for (int signal = 1; signal < NSIG; ++signal) (void)sigaction(signal, &fresh, nullptr);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
}

void LeaveForeground() {
  setpgid(0, 0);
  // Would stop who writes to standard error (stty tostop).
  signal(SIGTTOU, SIG_IGN);
}

absl::Status CloseAllBut(std::initializer_list<FdRef> kept) {
  std::vector<int> numbers;
  for (const FdRef& fd : kept) {
    if (fd.get() > 2) numbers.push_back(fd.get());
  }
  std::sort(numbers.begin(), numbers.end());
  unsigned next = 3;
  for (const int number : numbers) {
    const unsigned keep = static_cast<unsigned>(number);
    if (keep > next) {
      if (const absl::Status closed = CloseRange(next, keep - 1); !closed.ok()) return closed;
    }
    next = std::max(next, keep + 1);
  }
  return CloseRange(next, ~0u);
}

void DropStandardStreams() {
  // Without /dev something must be there all the same, or the next descriptor to be
  // opened becomes the standard output: an O_PATH descriptor does nothing.
  int null = open("/dev/null", O_RDWR | O_CLOEXEC | O_NOCTTY);
  if (null < 0) null = open("/", O_PATH | O_CLOEXEC);
  if (null < 0) return;
  (void)dup2(null, 0);
  (void)dup2(null, 1);
  if (fcntl(2, F_GETFD) < 0) (void)dup2(null, 2);
  if (null > 2) close(null);
}

void NameProcess(absl::string_view name) {
  const size_t dot = name.rfind('.');
  if (dot != absl::string_view::npos) name.remove_prefix(dot + 1);
  prctl(PR_SET_NAME, std::string(name.substr(0, 15)).c_str());
}

void ForbidInspection() { prctl(PR_SET_DUMPABLE, 0); }

rlimit ServiceDescriptorLimit(rlim_t broker_limit) {
  const rlim_t limit = std::min(broker_limit / 2, kMostServiceDescriptors);
  return {limit, limit};
}

void PrepareToCountDescriptors() { open_descriptors = opendir("/proc/self/fd"); }

void ForgetEnvironment() {
  // Only what the kernel has put above the stack: others may be constants.
  const char* const stack = static_cast<const char*>(__builtin_frame_address(0));
  const char* const end = reinterpret_cast<const char*>(getauxval(AT_EXECFN));
  for (char** variable = environ; variable != nullptr && *variable != nullptr; ++variable) {
    if (*variable > stack && *variable < end) explicit_bzero(*variable, strlen(*variable));
  }
  clearenv();
}

uint32_t CountDescriptors() {
  if (open_descriptors == nullptr) return 0;
  rewinddir(open_descriptors);
  uint32_t count = 0;
  while (const dirent* entry = readdir(open_descriptors)) count += entry->d_name[0] != '.';
  return count - 1;  // without the one that is used to look
}

void Log(absl::string_view line) {
  const std::string text = absl::StrCat("capbroker: ", line, "\n");
  (void)!write(STDERR_FILENO, text.data(), text.size());
}

}  // namespace capbroker::broker
