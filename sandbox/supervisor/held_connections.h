// The connections that a worker was given, and whether it still has them.
//
// A program that is done with a connection closes it, and the peer hears of it. Here that is not
// enough: whoever made the connection keeps a duplicate, so that it can be ended when the grant
// is. So the supervisor keeps one, too, looks now and then into the worker's descriptor table,
// and shuts down what is not in it any more. The end of the worker ends all at once.
//
// What a worker has sent to itself over a socket pair and not yet received is in no table: it is
// shut down.
//
// Lives in: the supervisor. One thread.
#ifndef SANDBOX_SUPERVISOR_HELD_CONNECTIONS_H_
#define SANDBOX_SUPERVISOR_HELD_CONNECTIONS_H_

#include <sys/stat.h>

#include <cstddef>
#include <cstdint>
#include <map>

#include "base/unique_fd.h"
#include "sandbox/supervisor/worker_directories.h"

namespace capbroker::sandbox {

class HeldConnections {
 public:
  static constexpr size_t kMost = 256;

  // `descriptors` looks into the worker's table, up to `highest_descriptor`.
  HeldConnections(const WorkerDirectories& descriptors, int highest_descriptor)
      : descriptors_(descriptors), highest_descriptor_(highest_descriptor) {}

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

  const WorkerDirectories& descriptors_;
  const int highest_descriptor_;
  std::map<uint64_t, UniqueFd> held_;  // by inode, of the one file system of all sockets
  int64_t next_look_ = 0;              // milliseconds
  int64_t interval_ = 0;
};

}  // namespace capbroker::sandbox

#endif  // SANDBOX_SUPERVISOR_HELD_CONNECTIONS_H_
