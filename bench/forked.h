// Processes of the benchmark's own: servers that it is measured against, and callers that
// measure in a process of theirs. To be made before the broker is started, and before this
// process has threads.
#ifndef BENCH_FORKED_H_
#define BENCH_FORKED_H_

#include <sys/socket.h>
#include <sys/types.h>

#include <functional>
#include <vector>

#include "base/unique_fd.h"
#include "bench/measure.h"

namespace capbroker::bench {

struct SocketPair {
  UniqueFd ours;
  UniqueFd theirs;
};
SocketPair MakeSocketPair(int type);

struct Pipe {
  UniqueFd reader;
  UniqueFd writer;
};
Pipe MakePipe();

// Forks a process that dies with this one and runs `body`.
pid_t Fork(const std::function<void()>& body);

// Runs that are asked for over a descriptor: a count of calls one way, the times of these the
// other way. The asked side ends when nobody can ask any more.
void AskToRun(FdRef to, FdRef from, int calls, std::vector<double>& times_us);
void AnswerRuns(FdRef from, FdRef to, const RunCalls& run);

// A caller in a process of its own. `prepare` runs there, at once.
class ForkedCaller {
 public:
  explicit ForkedCaller(const std::function<RunCalls()>& prepare);
  RunCalls run();
  pid_t process() const { return process_; }

 private:
  UniqueFd socket_;
  pid_t process_;
};

// A caller and a server, with `count` sockets of `type` between them. `serve` does not return.
class ForkedPeers {
 public:
  ForkedPeers(int type, int count, const std::function<void(std::vector<UniqueFd>)>& serve,
              const std::function<RunCalls(std::vector<UniqueFd>)>& connect);
  RunCalls run() { return caller_.run(); }
  std::vector<pid_t> processes() const { return {server_, caller_.process()}; }

 private:
  struct Ends {
    std::vector<UniqueFd> ours;
    std::vector<UniqueFd> theirs;
  };
  ForkedPeers(Ends ends, const std::function<void(std::vector<UniqueFd>)>& serve,
              const std::function<RunCalls(std::vector<UniqueFd>)>& connect);
  static Ends MakeEnds(int type, int count);

  pid_t server_;
  ForkedCaller caller_;
};

}  // namespace capbroker::bench

#endif  // BENCH_FORKED_H_
