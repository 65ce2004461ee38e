// Numbers and names of Linux's system calls, independent of the headers that
// the program was built with. Runs in every process.
#ifndef SANDBOX_TABLE_SYSTEM_CALLS_H_
#define SANDBOX_TABLE_SYSTEM_CALLS_H_

#include <cstdint>
#include <optional>

#include "absl/strings/string_view.h"

namespace capbroker::sandbox {

enum class Architecture { kX86_64, kAArch64 };

// The one that this program runs on.
#if defined(__x86_64__)
inline constexpr Architecture kNativeArchitecture = Architecture::kX86_64;
#elif defined(__aarch64__)
inline constexpr Architecture kNativeArchitecture = Architecture::kAArch64;
#else
#error "no table of system calls for this architecture"
#endif

// AUDIT_ARCH_*, as seccomp tells it.
uint32_t AuditArchitecture(Architecture architecture);

// True if `name` is a system call on any architecture that is known here.
bool IsSystemCallName(absl::string_view name);

// The number of `name`; nothing if this architecture does not have it.
std::optional<int> SystemCallNumber(absl::string_view name, Architecture architecture);

// The name of `number`, which may come from a stranger; "unknown" if it has
// none.
const char* SystemCallName(int number, Architecture architecture = kNativeArchitecture);

}  // namespace capbroker::sandbox

#endif  // SANDBOX_TABLE_SYSTEM_CALLS_H_
