// Whether anything is left of a tree of processes. For tests in a process of their own.
#ifndef BROKER_TESTING_DESCENDANTS_H_
#define BROKER_TESTING_DESCENDANTS_H_

#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <string>
#include <vector>

#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace capbroker::testing {

// Makes this process the parent of every descendant whose own parent dies, so that no
// orphan can hide.
inline void AdoptOrphans() { prctl(PR_SET_CHILD_SUBREAPER, 1); }

// Waits until this process has no child any more, of any kind; false if one lives on.
inline bool AllDescendantsEnd(absl::Duration timeout) {
  const absl::Time deadline = absl::Now() + timeout;
  while (true) {
    const pid_t pid = waitpid(-1, nullptr, WNOHANG | __WALL);
    if (pid < 0 && errno == ECHILD) return true;
    if (pid > 0) continue;
    if (absl::Now() > deadline) return false;
    usleep(1000);
  }
}

// Children of `parent` by pid, zombies included.
inline std::vector<int> ChildrenOf(int parent) {
  std::ifstream file("/proc/" + std::to_string(parent) + "/task/" + std::to_string(parent) +
                     "/children");
  std::vector<int> children;
  for (int child = 0; file >> child;) children.push_back(child);
  return children;
}

// Polls until `condition` holds.
template <typename Condition>
bool Eventually(Condition condition, absl::Duration timeout = absl::Seconds(20)) {
  const absl::Time deadline = absl::Now() + timeout;
  while (!condition()) {
    if (absl::Now() > deadline) return false;
    usleep(2000);
  }
  return true;
}

}  // namespace capbroker::testing

#endif  // BROKER_TESTING_DESCENDANTS_H_
