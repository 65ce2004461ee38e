// The conversations of a worker's C library with what it takes for the name service daemon
// (name_request.h).
//
// Nobody waits here for the worker: what it sends is read when it is there, an answer that its
// socket has no room for is dropped, and of too many conversations the oldest ends.
//
// Lives in: the supervisor. One thread.
#ifndef SANDBOX_SUPERVISOR_NAME_SERVICE_H_
#define SANDBOX_SUPERVISOR_NAME_SERVICE_H_

#include <poll.h>

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "base/unique_fd.h"
#include "sandbox/supervisor/outside.h"

namespace capbroker::sandbox {

class NameService {
 public:
  static constexpr size_t kMost = 16;

  explicit NameService(Outside& outside) : outside_(outside) {}

  // A conversation, and the worker's end of it. Invalid: errno says why.
  UniqueFd Open();

  // What is to be waited for, and then what has come of it.
  void AppendTo(std::vector<pollfd>& polled) const;
  void Read(const std::vector<pollfd>& polled);

  // What was asked for since the last time, for the journal.
  std::vector<NamedHost> TakeHosts() { return std::exchange(hosts_, {}); }

 private:
  struct Conversation {
    UniqueFd socket;
    std::string request;
  };
  // False at its end.
  bool Read(Conversation& conversation);

  Outside& outside_;
  std::vector<Conversation> conversations_;
  std::vector<NamedHost> hosts_;
};

}  // namespace capbroker::sandbox

#endif  // SANDBOX_SUPERVISOR_NAME_SERVICE_H_
