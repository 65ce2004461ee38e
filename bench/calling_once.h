// What a worker does whose start is measured. Lives in: workers.
#ifndef BENCH_CALLING_ONCE_H_
#define BENCH_CALLING_ONCE_H_

#include "bench/echo.grpc.pb.h"

namespace capbroker::bench {

// Calls once, writes a byte to its standard output, and stays until its input ends. Gives an
// exit code.
int CallOnce(v1::Echo::StubInterface& stub);

}  // namespace capbroker::bench

#endif  // BENCH_CALLING_ONCE_H_
