#include "sandbox/fstat_answer.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include <cerrno>

namespace capbroker::sandbox {
namespace {

// The registers of the call, and of its result.
#if defined(__x86_64__)
greg_t Argument(const ucontext_t& context, int index) {
  constexpr int kRegisters[] = {REG_RDI, REG_RSI, REG_RDX, REG_R10};
  return context.uc_mcontext.gregs[kRegisters[index]];
}
void SetResult(ucontext_t& context, long result) { context.uc_mcontext.gregs[REG_RAX] = result; }
#elif defined(__aarch64__)
unsigned long long Argument(const ucontext_t& context, int index) {
  return context.uc_mcontext.regs[index];
}
void SetResult(ucontext_t& context, long result) {
  context.uc_mcontext.regs[0] = static_cast<unsigned long long>(result);
}
#endif

void Answer(int signal, siginfo_t* info, void* opaque) {
  const int saved_errno = errno;
  ucontext_t& context = *static_cast<ucontext_t*>(opaque);
  constexpr int kBySeccomp = 1;  // SYS_SECCOMP
  if (info->si_code != kBySeccomp || info->si_syscall != SYS_newfstatat) {
    ::signal(signal, SIG_DFL);
    raise(signal);
    return;
  }
  const char* path = reinterpret_cast<const char*>(Argument(context, 1));
  long result = -EACCES;
  if (path == nullptr || path[0] == '\0') {
    result = syscall(SYS_fstat, static_cast<int>(Argument(context, 0)), Argument(context, 2));
    if (result < 0) result = -errno;
  }
  SetResult(context, result);
  errno = saved_errno;
}

}  // namespace

bool AnswerFstatBySignal() {
  struct sigaction action = {};
  action.sa_sigaction = Answer;
  action.sa_flags = SA_SIGINFO | SA_RESTART;
  return sigaction(SIGSYS, &action, nullptr) == 0;
}

}  // namespace capbroker::sandbox
