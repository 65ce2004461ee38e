// What the kernel alone takes to have another process open a small file: nothing is confined,
// looked at, limited or checked. In child processes of the benchmark.
#ifndef BENCH_RAW_FILES_H_
#define BENCH_RAW_FILES_H_

#include <string>

#include "bench/forked.h"

namespace capbroker::bench {

// A seqpacket message to a server, which opens `path` and sends the descriptor back.
ForkedPeers RawDescriptor(const std::string& path);

// open() of `path`, by a process whose openat(2) another one answers: seccomp_unotify(2).
ForkedPeers RawNotifiedOpen(const std::string& path);

}  // namespace capbroker::bench

#endif  // BENCH_RAW_FILES_H_
