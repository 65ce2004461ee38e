// No echo for whoever uses it afterwards.
#include <sys/syscall.h>
#include <termios.h>
#include <unistd.h>

#include "tests/hostile_worker/attack.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene&) {
  termios settings;
  return Result(tcgetattr(TakeSmuggled().terminal, &settings));
}

const Registered attack({
    .aims_at = "terminals",
    .run = Run,
    .refused = "ENOTTY",
});

}  // namespace
}  // namespace capbroker::hostile
