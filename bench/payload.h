// How large a small message is.
#ifndef BENCH_PAYLOAD_H_
#define BENCH_PAYLOAD_H_

#include <cstddef>

namespace capbroker::bench {

// Bytes of user data in every request and answer, where nothing else is said.
inline constexpr size_t kPayload = 32;

}  // namespace capbroker::bench

#endif  // BENCH_PAYLOAD_H_
