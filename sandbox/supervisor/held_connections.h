// The connections that a worker was given, and whether it still has them. A socket that listens is
// one of them here.
//
// A program that is done with a connection closes it, and the peer hears of it. Here that is not
// enough: whoever made the connection keeps a duplicate, so that it can be ended when the grant
// is. So the supervisor keeps one, too, looks now and then into the descriptor tables of the
// worker's processes, and shuts down what is in none of them any more. The end of the worker ends
// all at once.
//
// A worker that may have several processes has a PID namespace, whose numbers are tried one by one:
// a process that has inherited a connection is found, whether it has made a call or not. When the
// numbers have become too many for that, only processes that have called are known, and a
// connection is missing for a while before it is shut down. What a worker has sent to itself over
// a socket pair and not yet received is missing, too.
//
// Lives in: the supervisor. One thread.
#ifndef SANDBOX_SUPERVISOR_HELD_CONNECTIONS_H_
#define SANDBOX_SUPERVISOR_HELD_CONNECTIONS_H_

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <vector>

#include "base/unique_fd.h"

namespace capbroker::sandbox {

class HeldConnections {
 public:
  static constexpr size_t kMost = 256;

  // `highest_descriptor` bounds the numbers in the worker's tables. `processes`: it may have
  // several.
  HeldConnections(int highest_descriptor, bool processes)
      : highest_descriptor_(highest_descriptor), processes_(processes) {}

  // A thread of the worker that has called.
  void NoteCaller(pid_t thread);
  bool IsCaller(pid_t thread) const { return callers_.count(thread) != 0; }

  // Whether there is room for one more. Looks, if it is scarce.
  bool HasRoom();
  // Shuts down what the worker does not have any more.
  void Look();
  // Before the worker gets it.
  void Add(UniqueFd connection);
  bool Has(FdRef connection) const;

  // Milliseconds until a look is due; -1: none is.
  int Timeout() const;
  void LookIfDue();

 private:
  struct Held {
    UniqueFd connection;
    int64_t missing_since = 0;  // 0: it is not
  };

  bool FindsAll() const;
  // One thread of each process that is known.
  std::vector<pid_t> Processes();
  std::set<uint64_t> Present();

  const int highest_descriptor_;
  const bool processes_;
  std::set<pid_t> callers_;
  pid_t highest_caller_ = 0;
  std::map<uint64_t, Held> held_;  // by inode, of the one file system of all sockets
  int64_t next_look_ = 0;          // milliseconds
  int64_t interval_ = 0;
};

}  // namespace capbroker::sandbox

#endif  // SANDBOX_SUPERVISOR_HELD_CONNECTIONS_H_
