// Where workers get cgroups, so that bounds hold for all processes of a worker together.
//
// Lives in: the application. A value.
#ifndef CLIENT_WORKER_CGROUPS_H_
#define CLIENT_WORKER_CGROUPS_H_

#include <string>

namespace capbroker {

// WorkerCgroups::beneath: the cgroup that the application is in. If it is delegated to it, and no
// other processes are in it, the application leaves it for a child of it, as cgroups(7) demands
// ("no internal processes"), with which it stays.
inline constexpr char kOwnCgroup[] = "own";

struct WorkerCgroups {
  // A cgroup (version 2) in which this process may make others, by its absolute path, and in which
  // no processes are; or kOwnCgroup. Nothing but children named "capbroker.*" and its
  // cgroup.subtree_control are touched. Empty: none, and bounds are limits of each process.
  std::string beneath = {};
  // Whether also one will do that lacks the memory or the pids controller. Worker::layers() says
  // what a worker has.
  bool partly = false;
};

}  // namespace capbroker

#endif  // CLIENT_WORKER_CGROUPS_H_
