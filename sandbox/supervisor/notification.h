// One call of the worker that stopped in the kernel, and its answer.
//
// There are two answers: a result, or a descriptor that is put into the worker's table, whose
// number is the result if it is a new one. The third that Linux has, to let the kernel go on with
// the call (CONTINUE), cannot be expressed here: the kernel would read the arguments again, after
// they were looked at.
//
// Lives in: the supervisor.
#ifndef SANDBOX_SUPERVISOR_NOTIFICATION_H_
#define SANDBOX_SUPERVISOR_NOTIFICATION_H_

#include <linux/seccomp.h>
#include <sys/types.h>

#include <cstdint>
#include <optional>

#include "base/unique_fd.h"

namespace capbroker::sandbox {

struct Answer {
  int64_t result = 0;    // if there is no error and no descriptor
  int error_number = 0;  // the call fails with it
  UniqueFd descriptor;   // the call returns its number in the worker
  bool close_on_exec = false;
  int place = -1;      // the number that the descriptor is put at, whatever is there; the
                       // result or the error is the call's
  bool later = false;  // somebody keeps the call, and ends it
};

inline Answer Result(int64_t result) {
  Answer answer;
  answer.result = result;
  return answer;
}
inline Answer Failure(int error_number) {
  Answer answer;
  answer.error_number = error_number;
  return answer;
}
inline Answer Later() {
  Answer answer;
  answer.later = true;
  return answer;
}

class Notification {
 public:
  // The next one; nothing if its caller went away meanwhile.
  static std::optional<Notification> Receive(FdRef listener);

  const seccomp_data& call() const { return call_; }
  uint64_t argument(int index) const { return call_.args[index]; }
  // The thread that called.
  pid_t thread() const { return thread_; }

  // True if that thread still waits for this answer. Until it has been asked, after memory was
  // read, the memory may have been of another thread that was given the number.
  bool IsWaiting() const;
  // Ends the call. If the caller is gone, there is nobody to tell.
  void Send(Answer answer) const;

 private:
  Notification(FdRef listener, const seccomp_notif& received)
      : listener_(listener),
        id_(received.id),
        thread_(static_cast<pid_t>(received.pid)),
        call_(received.data) {}

  FdRef listener_;
  uint64_t id_;
  pid_t thread_;
  seccomp_data call_;
};

// Makes the caller run on this CPU when it is answered, which is faster: both never run
// at once. Older kernels do without.
void WakeCallersHere(FdRef listener);

}  // namespace capbroker::sandbox

#endif  // SANDBOX_SUPERVISOR_NOTIFICATION_H_
