// The result of a step of a start, in the processes between fork and entry:
// small, and made without allocation. Elsewhere errors are absl::Status.
#ifndef SANDBOX_STEP_RESULT_H_
#define SANDBOX_STEP_RESULT_H_

#include <cerrno>

#include "sandbox/report.h"

namespace capbroker::sandbox {

struct [[nodiscard]] StepResult {
  Step failed = Step::kNone;
  int error_number = 0;
  bool ok() const { return failed == Step::kNone; }
};

inline StepResult Done() { return {}; }
// Right after the system call that failed.
inline StepResult FailedWithErrno(Step step) { return {step, errno}; }
inline StepResult FailedWith(Step step, int error_number) { return {step, error_number}; }

}  // namespace capbroker::sandbox

#endif  // SANDBOX_STEP_RESULT_H_
