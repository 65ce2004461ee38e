#include "sandbox/supervisor/kernel_name.h"

#include <sys/utsname.h>

#include <cerrno>
#include <cstring>

#include "sandbox/layers/confinement.h"
#include "sandbox/supervisor/worker_memory.h"

namespace capbroker::sandbox {

Answer TellKernelName(const Notification& call) {
  utsname name = {};
  if (uname(&name) != 0) return Failure(errno);
  std::memset(name.nodename, 0, sizeof name.nodename);
  std::memset(name.domainname, 0, sizeof name.domainname);
  std::memcpy(name.nodename, kHostName, sizeof kHostName);
  if (!call.IsWaiting()) return Failure(ESRCH);  // it would be somebody else's memory
  const int error = WorkerMemory(call.thread()).Write(call.argument(0), &name, sizeof name);
  return error == 0 ? Result(0) : Failure(error);
}

}  // namespace capbroker::sandbox
