// fstat() where the system call behind it must not happen.
//
// The C library's fstat(fd) is newfstatat(fd, "", ..., AT_EMPTY_PATH), and the
// kernel follows the path if it is not empty, which no filter can see: in the
// host's root, where the worker has none of its own, and beneath a directory
// that somebody outside has sent it, everywhere. So the table of forked workers
// stops the call and signals its caller; the handler calls the plain fstat for
// an empty path and answers EACCES otherwise. Nothing depends on the handler: a
// worker that replaces it only loses fstat().
//
// Lives in: forked workers. A thread that blocks SIGSYS and calls fstat() ends
// the worker.
#ifndef SANDBOX_FSTAT_ANSWER_H_
#define SANDBOX_FSTAT_ANSWER_H_

namespace capbroker::sandbox {

// Installs the handler. False with errno if that failed.
bool AnswerFstatBySignal();

}  // namespace capbroker::sandbox

#endif  // SANDBOX_FSTAT_ANSWER_H_
