#include "bench/forked.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cstdint>
#include <utility>

#include "bench/must.h"

namespace capbroker::bench {
namespace {

// Everything or, at the end of the stream, false.
bool ReadAll(FdRef from, void* data, size_t size) {
  char* at = static_cast<char*>(data);
  while (size > 0) {
    const ssize_t count = read(from.get(), at, size);
    if (count <= 0) return false;
    at += count;
    size -= static_cast<size_t>(count);
  }
  return true;
}

bool WriteAll(FdRef to, const void* data, size_t size) {
  const char* at = static_cast<const char*>(data);
  while (size > 0) {
    const ssize_t count = write(to.get(), at, size);
    if (count <= 0) return false;
    at += count;
    size -= static_cast<size_t>(count);
  }
  return true;
}

}  // namespace

SocketPair MakeSocketPair(int type) {
  int ends[2];
  Must(socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, ends) == 0, "socketpair");
  return {UniqueFd(ends[0]), UniqueFd(ends[1])};
}

Pipe MakePipe() {
  int ends[2];
  Must(pipe2(ends, O_CLOEXEC) == 0, "pipe");
  return {UniqueFd(ends[0]), UniqueFd(ends[1])};
}

pid_t Fork(const std::function<void()>& body) {
  const pid_t child = fork();
  Must(child >= 0, "fork");
  if (child == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    body();
    _exit(0);
  }
  return child;
}

void AskToRun(FdRef to, FdRef from, int calls, std::vector<double>& times_us) {
  uint64_t count = 0;
  Must(WriteAll(to, &calls, sizeof calls) && ReadAll(from, &count, sizeof count), "ask for a run");
  const size_t before = times_us.size();
  times_us.resize(before + count);
  Must(ReadAll(from, times_us.data() + before, count * sizeof(double)), "times of a run");
}

void AnswerRuns(FdRef from, FdRef to, const RunCalls& run) {
  int calls = 0;
  while (ReadAll(from, &calls, sizeof calls)) {
    std::vector<double> times;
    run(calls, times);
    const uint64_t count = times.size();
    if (!WriteAll(to, &count, sizeof count) ||
        !WriteAll(to, times.data(), count * sizeof(double))) {
      return;
    }
  }
}

ForkedCaller::ForkedCaller(const std::function<RunCalls()>& prepare) {
  SocketPair pair = MakeSocketPair(SOCK_STREAM);
  socket_ = std::move(pair.ours);
  process_ = Fork([&] { AnswerRuns(pair.theirs, pair.theirs, prepare()); });
}

RunCalls ForkedCaller::run() {
  return
      [this](int calls, std::vector<double>& times) { AskToRun(socket_, socket_, calls, times); };
}

ForkedPeers::ForkedPeers(int type, int count,
                         const std::function<void(std::vector<UniqueFd>)>& serve,
                         const std::function<RunCalls(std::vector<UniqueFd>)>& connect)
    : ForkedPeers(MakeEnds(type, count), serve, connect) {}

ForkedPeers::ForkedPeers(Ends ends, const std::function<void(std::vector<UniqueFd>)>& serve,
                         const std::function<RunCalls(std::vector<UniqueFd>)>& connect)
    : server_(Fork([&] {
        ends.ours.clear();
        serve(std::move(ends.theirs));
      })),
      caller_([&] {
        ends.theirs.clear();
        return connect(std::move(ends.ours));
      }) {}

ForkedPeers::Ends ForkedPeers::MakeEnds(int type, int count) {
  Ends ends;
  for (int i = 0; i < count; ++i) {
    SocketPair pair = MakeSocketPair(type);
    ends.ours.push_back(std::move(pair.ours));
    ends.theirs.push_back(std::move(pair.theirs));
  }
  return ends;
}

}  // namespace capbroker::bench
