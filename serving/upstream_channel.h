// The channel that a service was opened with: what it calls, and a proxy forwards to.
//
// The broker keeps a duplicate of its descriptor, to give it to the successor of a process
// that crashed. Two users of one client end would take each other's answers; therefore a
// process clones it as its first act, and calls on its clone alone. An answer that was
// meant for a process that died over it is nobody's: calls are numbered from a random
// number on. INVARIANT(one-holder-per-end)
//
// A channel that came in a message is adopted in the same way, and its end is then ended,
// so that a duplicate of it is worth nothing.
//
// Lives in: service processes. Thread-safe.
#ifndef SERVING_UPSTREAM_CHANNEL_H_
#define SERVING_UPSTREAM_CHANNEL_H_

#include <memory>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "base/unique_fd.h"
#include "transport/channel.h"

namespace capbroker::serving {

class UpstreamChannel {
 public:
  // What becomes of the channel that is cloned.
  enum class Original { kKept, kEnded };

  // Of a lane end of which there may be duplicates.
  explicit UpstreamChannel(UniqueFd lane, Original original = Original::kKept);

  // This process's own channel; the same one each time. Made at the first call, which may
  // fail as any call upstream: the next one tries again.
  absl::StatusOr<std::shared_ptr<Channel>> Get(absl::Time deadline) ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  const bool ends_original_;
  absl::Mutex mutex_;
  // Null once there is a clone.
  std::shared_ptr<Channel> original_ ABSL_GUARDED_BY(mutex_);
  std::shared_ptr<Channel> clone_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace capbroker::serving

#endif  // SERVING_UPSTREAM_CHANNEL_H_
