// ioctl on a socket changes the network.
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/hostile_worker/attack.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene&) {
  ifreq request = {};
  request.ifr_name[0] = 'l';
  request.ifr_name[1] = 'o';
  return Result(ioctl(TakeSmuggled().tcp, SIOCGIFFLAGS, &request));
}

const Registered attack({
    .aims_at = "sockets and addresses",
    .run = Run,
    .refused = "ENOTTY",
});

}  // namespace
}  // namespace capbroker::hostile
