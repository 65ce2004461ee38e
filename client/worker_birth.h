// Where a worker finds what it is born with: the agreement between the broker,
// which puts it there, and client/grants.h, which takes it.
#ifndef CLIENT_WORKER_BIRTH_H_
#define CLIENT_WORKER_BIRTH_H_

#include <cstddef>

namespace capbroker {

// A sealed memfd that holds a serialised capbroker.v1.WorkerBirth. The channels
// follow, in the order of its names.
inline constexpr int kBirthDescriptor = 3;
inline constexpr char kBirthMagic[] = "capbroker";
inline constexpr size_t kMaxBirthSize = 1u << 20;
inline constexpr size_t kMaxInput = 512u << 10;
inline constexpr size_t kMaxGrants = 16;
inline constexpr size_t kMaxGrantName = 64;

}  // namespace capbroker

#endif  // CLIENT_WORKER_BIRTH_H_
