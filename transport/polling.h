// Looking for a packet for some microseconds before sleeping until one comes.
//
// To wake a thread on another CPU costs more than a small call does, so two processes that call
// back to back do better to meet awake. What that may cost is earned: each packet that comes puts
// kEarnedNs into an account, and looking takes from it the time that it took. Who has saved for
// several looks begins, because the first ones wait for a peer that still sleeps; who cannot pay a
// whole one stops. So however a peer paces its packets, looking for them costs no more CPU than
// handling them did; whoever is quiet costs a look or a few and then nothing; and who shares its
// CPU with its peer, and so looks in vain, soon has nothing left.
// INVARIANT(nobody-spins-for-a-stranger)
//
// Lives in: both ends of a lane. Of one thread at a time, but for looks().
#ifndef TRANSPORT_POLLING_H_
#define TRANSPORT_POLLING_H_

#include <atomic>
#include <cstdint>

#include "absl/functional/function_ref.h"

namespace capbroker::transport {

// One look, in nanoseconds: longer than the waking of a peer on another CPU takes.
inline constexpr int64_t kLookNs = 50'000;
// What a packet earns: less than receiving one asleep and answering it takes of CPU time.
inline constexpr int64_t kEarnedNs = 6'000;
// What it takes to begin, and the most that is kept.
inline constexpr int64_t kMostSavedNs = 4 * kLookNs;

class Polling {
 public:
  // A packet came.
  void Earn();
  // Whether it looks now, rather than sleeping at once. Any thread.
  bool looks() const { return looks_.load(std::memory_order_relaxed); }
  // Calls `found` until it is true, for kLookNs. False: it never was.
  bool Look(absl::FunctionRef<bool()> found);

 private:
  int64_t saved_ns_ = 0;
  std::atomic<bool> looks_{false};
};

// Whether this process may run on more than one CPU: with one, whoever looks keeps from its peer
// the CPU that it needs to answer.
bool HasSeveralCpus();

}  // namespace capbroker::transport

#endif  // TRANSPORT_POLLING_H_
