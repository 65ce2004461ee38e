// The connections that a worker was given, and whether it still has them.
//
// A program that is done with a connection closes it, and the peer hears of it. Here that is not
// enough: whoever made the connection keeps a duplicate, so that it can be ended when the grant
// is. So the supervisor keeps one, too, looks now and then into the worker's descriptor tables,
// and shuts down what is not in it any more. The end of the worker ends all at once.
//
// What a worker has sent to itself over a socket pair and not yet received is in no table: it is
// shut down.
//
// Lives in: the supervisor. One thread.
#ifndef SANDBOX_SUPERVISOR_HELD_CONNECTIONS_H_
#define SANDBOX_SUPERVISOR_HELD_CONNECTIONS_H_

#include <sys/stat.h>
#include <sys/types.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <set>

#include "base/unique_fd.h"

namespace capbroker::sandbox {

class HeldConnections {
 public:
  static constexpr size_t kMost = 256;

  // `processes`: the worker may have several, in a PID namespace in which the first is `worker`.
  HeldConnections(pid_t worker, bool processes, int highest_descriptor)
      : worker_(worker),
        processes_(processes),
        highest_descriptor_(highest_descriptor),
        highest_thread_(worker) {}

  // A thread of the worker has this number.
  void HearOf(pid_t thread) { highest_thread_ = std::max(highest_thread_, thread); }

  // Whether there is room for one more. Looks, if it is scarce.
  bool HasRoom();
  // After the worker got it.
  void Add(UniqueFd connection);
  bool Has(FdRef connection) const;

  // Milliseconds until Look() is due; -1: never.
  int Timeout() const;
  void LookIfDue();

 private:
  // Shuts down what the worker does not have any more.
  void Look();

  // Adds the inodes of what the process has open.
  void LookInto(pid_t process, std::set<uint64_t>& present) const;

  const pid_t worker_;
  const bool processes_;
  const int highest_descriptor_;
  pid_t highest_thread_;
  std::map<uint64_t, UniqueFd> held_;  // by inode, of the one file system of all sockets
  int64_t next_look_ = 0;              // milliseconds
  int64_t interval_ = 0;
};

}  // namespace capbroker::sandbox

#endif  // SANDBOX_SUPERVISOR_HELD_CONNECTIONS_H_
