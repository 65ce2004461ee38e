// fstat() where the system call behind it must not happen.
//
// The C library's fstat(fd) is newfstatat(fd, "", ..., AT_EMPTY_PATH), and the
// kernel follows the path if it is not empty, which no filter can see. In a
// root of the worker's own that is harmless. Where a forked worker has none,
// the table stops the call and signals its caller; the handler calls the plain
// fstat for an empty path and answers EACCES otherwise. Nothing depends on the
// handler: a worker that replaces it only loses fstat().
//
// Lives in: forked workers without a mount namespace. A thread that blocks
// SIGSYS and calls fstat() ends the worker.
#ifndef SANDBOX_FSTAT_ANSWER_H_
#define SANDBOX_FSTAT_ANSWER_H_

namespace capbroker::sandbox {

// Installs the handler. False with errno if that failed.
bool AnswerFstatBySignal();

}  // namespace capbroker::sandbox

#endif  // SANDBOX_FSTAT_ANSWER_H_
