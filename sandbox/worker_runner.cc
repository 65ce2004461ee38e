#include "sandbox/worker_runner.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>

#include <cstdio>
#include <cstdlib>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"

namespace capbroker::sandbox {
namespace {

template <typename T>
T ValueOrDie(absl::StatusOr<T> value) {
  if (!value.ok()) {
    std::fprintf(stderr, "%s\n", value.status().ToString().c_str());
    std::abort();
  }
  return *std::move(value);
}

bool WaitReadable(FdRef fd, absl::Duration limit) {
  pollfd event = {.fd = fd.get(), .events = POLLIN, .revents = 0};
  return poll(&event, 1, static_cast<int>(absl::ToInt64Milliseconds(limit))) == 1;
}

// Gives the worker its tether, the init its two sockets; the rest of each pair
// stays here.
RunningWorker Tie(Start& start) {
  RunningWorker worker;
  auto [lifeline, workers_lifeline] = SocketPair(SOCK_SEQPACKET);
  auto [reports, workers_reports] = SocketPair(SOCK_SEQPACKET);
  auto [tether, workers_tether] = SocketPair(SOCK_STREAM);
  worker.lifeline = std::move(lifeline);
  worker.reports = std::move(reports);
  worker.tether = std::move(tether);
  start.lifeline = std::move(workers_lifeline);
  start.report = std::move(workers_reports);
  start.descriptors.push_back({std::move(workers_tether), kTether});
  return worker;
}

}  // namespace

std::pair<UniqueFd, UniqueFd> SocketPair(int type) {
  int ends[2];
  if (socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, ends) != 0) std::abort();
  return {UniqueFd(ends[0]), UniqueFd(ends[1])};
}

std::optional<Report> RunningWorker::Next(absl::Duration limit) {
  if (!WaitReadable(reports, limit)) return std::nullopt;
  char packet[sizeof(Report) + 1];
  const ssize_t size = recv(reports.get(), packet, sizeof packet, 0);
  if (size <= 0) return std::nullopt;
  return ValueOrDie(ParseReport(absl::string_view(packet, static_cast<size_t>(size))));
}

bool RunningWorker::IsGone(absl::Duration limit) {
  char byte;
  return WaitReadable(tether, limit) && recv(tether.get(), &byte, 1, MSG_DONTWAIT) <= 0;
}

std::string Story::violated_call() const { return violation ? ViolatedCall(*violation) : ""; }

WorkerRunner::WorkerRunner(LayerSet off, LayerSet required, DescriptorSight most)
    : sandbox_(ValueOrDie(WorkerSandbox::Prepare(required, off, most))) {}

RunningWorker WorkerRunner::Start(absl::FunctionRef<int()> entry, sandbox::Start start) {
  RunningWorker worker = Tie(start);
  worker.started = ValueOrDie(sandbox_.Fork(std::move(start), entry));
  return worker;
}

RunningWorker WorkerRunner::StartSpare(absl::FunctionRef<int(uint64_t)> entry, UniqueFd& job,
                                       sandbox::Start start) {
  RunningWorker worker = Tie(start);
  worker.tether.Reset();
  start.descriptors.clear();
  auto [given, spares] = SocketPair(SOCK_SEQPACKET);
  job = std::move(given);
  worker.started = ValueOrDie(sandbox_.ForkSpare(std::move(start), std::move(spares), entry));
  return worker;
}

RunningWorker WorkerRunner::StartProgram(const std::string& path,
                                         std::vector<std::string> arguments,
                                         std::vector<std::string> environment,
                                         sandbox::Start start) {
  RunningWorker worker = Tie(start);
  UniqueFd program(open(path.c_str(), O_PATH | O_CLOEXEC));
  if (!program.valid()) std::abort();
  arguments.insert(arguments.begin(), path);
  worker.started = ValueOrDie(sandbox_.Execute(std::move(start), std::move(program),
                                               std::move(arguments), std::move(environment)));
  return worker;
}

Story WorkerRunner::Run(absl::FunctionRef<int()> entry, sandbox::Start start) {
  return Collect(Start(entry, std::move(start)));
}

Story WorkerRunner::RunProgram(const std::string& path, std::vector<std::string> arguments,
                               std::vector<std::string> environment, sandbox::Start start) {
  return Collect(
      StartProgram(path, std::move(arguments), std::move(environment), std::move(start)));
}

Story Collect(RunningWorker worker, absl::Duration limit) {
  Story story;
  const absl::Time deadline = absl::Now() + limit;
  while (const std::optional<Report> report = worker.Next(deadline - absl::Now())) {
    absl::StrAppend(&story.text, DescribeReport(*report), "\n");
    switch (report->kind) {
      case Report::Kind::kStartFailed:
        story.failed = report;
        break;
      case Report::Kind::kWaits:
        break;
      case Report::Kind::kStarted:
        story.started = report;
        break;
      case Report::Kind::kViolation:
        story.violation = report;
        break;
      case Report::Kind::kExited:
        story.exited = report;
        break;
    }
  }
  story.timed_out = absl::Now() >= deadline;
  if (story.timed_out) {
    worker.started.init.Signal(SIGKILL).IgnoreError();
  }
  ValueOrDie(worker.started.init.Wait());
  return story;
}

}  // namespace capbroker::sandbox
