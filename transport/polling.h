// Looking for a packet for some microseconds before sleeping until one comes.
//
// To wake a thread on another CPU costs more than a small call does, so two processes that call
// back to back do better to meet awake. What that may cost is earned: each packet that comes puts
// kEarnedNs into an account, and looking takes from it the time that it took. Who has saved for
// several looks begins, because the first ones wait for a peer that still sleeps; who cannot pay a
// whole one stops. So however a peer paces its packets, looking for them costs no more CPU than
// handling them did, and whoever is quiet costs a look or a few and then nothing.
//
// Who shares its CPU with its peer looks in vain: it keeps from the peer what that needs to answer.
// No thread can know that of the other, so whoever has looked mostly in vain stops, though others
// of its packets may pay for it, and waits for twice as many packets before it begins again: soon
// it hardly ever does. A packet that was there at once, because the peer ran in its place, is no
// success of looking.
// INVARIANT(nobody-spins-for-a-stranger)
//
// Lives in: both ends of a lane. Of one thread at a time.
#ifndef TRANSPORT_POLLING_H_
#define TRANSPORT_POLLING_H_

#include <cstdint>

#include "absl/functional/function_ref.h"

namespace capbroker::transport {

// One look, in nanoseconds: longer than the waking of a peer on another CPU takes.
inline constexpr int64_t kLookNs = 50'000;
// What a packet earns: less than receiving one asleep and answering it takes of CPU time.
inline constexpr int64_t kEarnedNs = 6'000;
// What it takes to begin, and the most that is kept.
inline constexpr int64_t kMostSavedNs = 4 * kLookNs;
// Who has missed so many packets and found fewer than so many, or cannot pay any more before it has
// found them, has looked in vain.
inline constexpr int kMostMissed = static_cast<int>(kMostSavedNs / kLookNs);
inline constexpr int kFoundAtLeast = 64;
// For how many packets it then waits, and for how many at most.
inline constexpr int kFirstWait = 64;
inline constexpr int kLongestWait = 4096;

class Polling {
 public:
  // A packet came.
  void Earn();
  // Whether it looks now, rather than sleeping at once.
  bool looks() const { return looks_; }
  // Calls `found` until it is true, for kLookNs. False: it never was.
  bool Look(absl::FunctionRef<bool()> found);

 private:
  int64_t saved_ns_ = 0;
  int found_ = 0;  // by looking, since it began or had missed kMostMissed
  int missed_ = 0;
  int wait_ = 0;  // packets until it may begin again
  int next_wait_ = kFirstWait;
  bool looks_ = false;
};

}  // namespace capbroker::transport

#endif  // TRANSPORT_POLLING_H_
