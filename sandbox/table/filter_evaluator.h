// Runs a compiled filter on a system call, without a kernel: what tests of
// tables ask. Knows exactly the instructions that filter_compiler.h emits.
#ifndef SANDBOX_TABLE_FILTER_EVALUATOR_H_
#define SANDBOX_TABLE_FILTER_EVALUATOR_H_

#include <linux/filter.h>
#include <linux/seccomp.h>

#include <cstdint>

#include "absl/status/statusor.h"
#include "absl/types/span.h"

namespace capbroker::sandbox {

// The SECCOMP_RET_* that the kernel would act on. INVALID_ARGUMENT: the program
// is not one that the kernel would take, or uses an instruction that is not
// known here.
absl::StatusOr<uint32_t> EvaluateFilter(absl::Span<const sock_filter> program,
                                        const seccomp_data& call);

}  // namespace capbroker::sandbox

#endif  // SANDBOX_TABLE_FILTER_EVALUATOR_H_
