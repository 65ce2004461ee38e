// A compiled filter as text, for golden tests and for people who want to see
// what the kernel runs:
//
//    3: if A == 9 (mmap) goto 7 else 4
#ifndef SANDBOX_TABLE_FILTER_DISASSEMBLER_H_
#define SANDBOX_TABLE_FILTER_DISASSEMBLER_H_

#include <linux/filter.h>

#include <string>

#include "absl/types/span.h"
#include "sandbox/table/system_calls.h"

namespace capbroker::sandbox {

// Never fails: what is not understood is shown as numbers.
std::string DisassembleFilter(absl::Span<const sock_filter> program,
                              Architecture architecture = kNativeArchitecture);

}  // namespace capbroker::sandbox

#endif  // SANDBOX_TABLE_FILTER_DISASSEMBLER_H_
