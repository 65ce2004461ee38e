// openat2(2), which says how a path is to be resolved, with the one retry that it needs.
//
// Every rule of this project about what is "beneath" something ends here: the kernel is told
// where resolution has to stay, and holds to it at every component. A path's text is never
// compared to decide that.
//
// Runs in every process. Thread-safe: a function without state, and without allocation.
#ifndef BASE_OPEN_HOW_H_
#define BASE_OPEN_HOW_H_

#include <cstdint>

#include "base/unique_fd.h"

namespace capbroker {

struct OpenHow {
  uint64_t flags = 0;  // O_CLOEXEC is added, and O_NOCTTY unless O_PATH is among them
  uint64_t mode = 0;
  uint64_t resolve = 0;  // RESOLVE_*; RESOLVE_NO_MAGICLINKS is added
};

struct Opened {
  UniqueFd fd;
  int error_number = 0;  // 0 if `fd` is valid
};

// A rename or mount anywhere on the host can make the kernel give up on ".."; it is asked again
// a bounded number of times, after which the error is EAGAIN.
Opened OpenPath(FdRef directory, const char* path, const OpenHow& how);

}  // namespace capbroker

#endif  // BASE_OPEN_HOW_H_
