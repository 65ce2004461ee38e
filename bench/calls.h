// Small calls on one channel, and the check in front of them.
//
//   stub_unary      a call through a generated stub
//   stub_callback   the same by the stub's callback interface
//   threads_1, threads_16   threads that call on the channel all the time: how long a call takes,
//                   and how many there are in a second
//   stream_message  a message each way on a stream, over the wire
//   limits_check_10 the check of a request with ten bounded fields, without a call
#ifndef BENCH_CALLS_H_
#define BENCH_CALLS_H_

#include <string>

#include "bench/scene.h"

namespace capbroker::bench {

// A check in this process, against limits with `names` names.
Variant LimitsCheck(const Options& options, const std::string& name, int names = 1);

void AddCalls(const Scene& scene, Variants& variants);

}  // namespace capbroker::bench

#endif  // BENCH_CALLS_H_
