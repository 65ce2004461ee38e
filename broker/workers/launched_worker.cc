#include "broker/workers/launched_worker.h"

#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/errno_status.h"
#include "base/lifeline.h"
#include "base/status_macros.h"
#include "broker/workers/bounding_cgroup.h"
#include "broker/zygote/worker_places.h"
#include "sandbox/spare_job.h"

namespace capbroker::broker {
namespace {

// A start takes milliseconds; a host that needs longer is not making progress.
constexpr absl::Duration kStartTime = absl::Seconds(30);

// A process that meets its own limit of CPU time has this long to end by itself.
constexpr absl::Duration kCpuGrace = absl::Seconds(1);
// Between two looks at what a worker's processes use together.
constexpr absl::Duration kBetweenLooks = absl::Milliseconds(250);

absl::Duration FromProto(const google::protobuf::Duration& proto) {
  return absl::Seconds(proto.seconds()) + absl::Nanoseconds(proto.nanos());
}

void ToProto(uint64_t microseconds, google::protobuf::Duration* proto) {
  proto->set_seconds(static_cast<int64_t>(microseconds / 1'000'000));
  proto->set_nanos(static_cast<int32_t>(microseconds % 1'000'000 * 1'000));
}

struct SocketPair {
  UniqueFd kept, given;
};

absl::StatusOr<SocketPair> MakeSocketPair() {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) {
    return ErrnoToStatus(errno, "launch worker");
  }
  return SocketPair{UniqueFd(ends[0]), UniqueFd(ends[1])};
}

std::vector<std::string> LayerNames(sandbox::LayerSet layers) {
  std::vector<std::string> names;
  for (int i = 0; i < sandbox::kLayerCount; ++i) {
    const auto layer = static_cast<sandbox::Layer>(i);
    if (layers.Has(layer)) names.emplace_back(sandbox::LayerName(layer));
  }
  return names;
}

}  // namespace

absl::StatusOr<std::shared_ptr<LaunchedWorker>> LaunchedWorker::Start(
    const BrokerParts& parts, v1::ForkWorker command, std::vector<UniqueFd> descriptors,
    Events events) {
  auto self = std::shared_ptr<LaunchedWorker>(new LaunchedWorker(parts, std::move(events)));
  if (command.bounds().has_wall_time()) self->wall_time_ = FromProto(command.bounds().wall_time());
  if (command.bounds().has_cpu_time()) self->cpu_time_ = FromProto(command.bounds().cpu_time());
  CB_RETURN_IF_ERROR(self->Fork(std::move(command), std::move(descriptors)));
  return self;
}

absl::StatusOr<std::shared_ptr<LaunchedWorker>> LaunchedWorker::StartSpare(const BrokerParts& parts,
                                                                           v1::ForkWorker kind,
                                                                           Events events) {
  auto self = std::shared_ptr<LaunchedWorker>(new LaunchedWorker(parts, std::move(events)));
  CB_ASSIGN_OR_RETURN(SocketPair job, MakeSocketPair());
  self->job_ = std::move(job.kept);
  std::vector<UniqueFd> descriptors;
  descriptors.push_back(std::move(job.given));
  kind.mutable_job()->set_slot(1);
  CB_RETURN_IF_ERROR(self->Fork(std::move(kind), std::move(descriptors)));
  return self;
}

absl::Status LaunchedWorker::Fork(v1::ForkWorker command, std::vector<UniqueFd> descriptors) {
  CB_ASSIGN_OR_RETURN(Lifeline line, MakeLifeline());
  CB_ASSIGN_OR_RETURN(SocketPair report, MakeSocketPair());
  CB_RETURN_IF_ERROR(WatchReports(std::move(report.kept)));
  lifeline_ = std::move(line.kept);
  descriptors.push_back(std::move(line.held));
  command.mutable_lifeline()->set_slot(static_cast<uint32_t>(descriptors.size()));
  descriptors.push_back(std::move(report.given));
  command.mutable_report()->set_slot(static_cast<uint32_t>(descriptors.size()));
  if (parts_.cgroup != nullptr) {
    CB_ASSIGN_OR_RETURN(UniqueFd cgroups, Duplicate(parts_.cgroup->directory));
    descriptors.push_back(std::move(cgroups));
    command.mutable_cgroups()->set_slot(static_cast<uint32_t>(descriptors.size()));
  }
  AwaitStart();
  v1::ZygoteCommand wrapped;
  *wrapped.mutable_fork_worker() = std::move(command);
  parts_.zygote->Fork(
      wrapped, std::move(descriptors),
      [self = shared_from_this()](absl::StatusOr<ChildProcess> forked) {
        self->OnForked(std::move(forked));
      },
      [self = shared_from_this()](const ChildEnd& end) { self->OnEnded(end); });
  return absl::OkStatus();
}

void LaunchedWorker::AwaitStart() {
  timer_ = parts_.loop->RunAt(absl::Now() + kStartTime, [weak = weak_from_this()] {
    if (const auto late = weak.lock()) {
      late->timer_ = 0;
      late->FailStart(absl::DeadlineExceededError("launch worker: it did not start in time"));
    }
  });
}

bool LaunchedWorker::Employ(v1::ForkWorker& command, std::vector<UniqueFd>& descriptors,
                            Events& events) {
  sandbox::SpareJob job = {.value = command.entry()};
  for (const auto& [field, number] : WorkerPlaces(command)) {
    if (field->slot() == 0 || field->slot() > descriptors.size()) continue;
    job.descriptors.push_back({descriptors[field->slot() - 1].get(), number});
  }
  // What is refused here is refused with more words where a worker is forked.
  if (killed_ || !sandbox::GiveJob(job_, job).ok()) return false;
  if (command.bounds().has_wall_time()) wall_time_ = FromProto(command.bounds().wall_time());
  events_ = std::move(events);
  order_ = {std::move(command), std::move(descriptors)};
  AwaitStart();
  return true;
}

LaunchedWorker::~LaunchedWorker() {
  CancelTimer();
  StopWatching();
}

absl::Status LaunchedWorker::WatchReports(UniqueFd reports) {
  reports_ = std::move(reports);
  const auto read = [weak = weak_from_this()](uint32_t) {
    if (const auto self = weak.lock()) self->ReadReports();
    return serving::Left::kNothing;
  };
  CB_ASSIGN_OR_RETURN(reports_watch_, parts_.loop->Add(reports_, EPOLLIN | EPOLLRDHUP, read));
  return absl::OkStatus();
}

void LaunchedWorker::OnForked(absl::StatusOr<ChildProcess> forked) {
  if (!forked.ok()) {
    lifeline_.Reset();  // In case it was forked all the same. INVARIANT(fail-closed)
    CancelTimer();
    // What has spoken is there, and only its reports can tell of its end. INVARIANT(no-hang)
    if (events_.started == nullptr || order_.has_value()) {
      unreported_ = shared_from_this();
      return;
    }
    StopWatching();
    std::exchange(events_, Events()).started(forked.status());
    return;
  }
  init_ = *std::move(forked);
  if (!lifeline_.valid()) (void)init_.process.Signal(SIGKILL);
  if (init_.cpu_usage.valid() && cpu_time_ > absl::ZeroDuration()) WatchCpuTime();
}

// Of all its processes together; each of them has a limit of its own beside that. Nothing tells of
// it, so it is looked at when it could be used up at the earliest.
void LaunchedWorker::WatchCpuTime() {
  const absl::Duration left = cpu_time_ + kCpuGrace - CpuTimeUsed(init_.cpu_usage);
  if (left <= absl::ZeroDuration()) return Kill("cpu_time");
  const absl::Duration next = std::max(left / parts_.cgroup->cpus, kBetweenLooks);
  cpu_timer_ = parts_.loop->RunAt(absl::Now() + next, [weak = weak_from_this()] {
    if (const auto late = weak.lock()) {
      late->cpu_timer_ = 0;
      late->WatchCpuTime();
    }
  });
}

std::vector<std::string> LaunchedWorker::Layers(const sandbox::Report& report) const {
  std::vector<std::string> names = LayerNames(report.layer_set());
  // In force, or it would not have been cloned. INVARIANT(fail-closed)
  if (parts_.cgroup != nullptr) {
    names.insert(names.end(), parts_.cgroup->layers.begin(), parts_.cgroup->layers.end());
  }
  return names;
}

void LaunchedWorker::OnEnded(const ChildEnd& init) {
  ReadReports();
  CancelTimer();
  StopWatching();
  lifeline_.Reset();
  // A spare that was not reported to have begun has not: another one does what it was to do.
  if (order_.has_value() && !killed_) {
    Order order = *std::exchange(order_, std::nullopt);
    job_.Reset();
    start_failure_.reset();
    init_ = ChildProcess();
    const absl::Status forked = Fork(std::move(order.command), std::move(order.descriptors));
    if (forked.ok()) return;
    start_failure_ = forked;
  }
  order_.reset();
  Events events = std::exchange(events_, Events());
  if (events.started != nullptr) {
    events.started(start_failure_.value_or(
        absl::UnavailableError("launch worker: it was killed before it had started")));
    return;
  }
  v1::WaitWorkerResponse end;
  if (kill_reason_.empty() && init.out_of_memory) kill_reason_ = "memory";
  end.set_reason(kill_reason_);
  end.set_violation(violation_);
  if (exit_.has_value()) {
    end.set_exit_code(exit_->exit_code);
    end.set_signal(exit_->signal);
    ToProto(exit_->user_microseconds, end.mutable_user_time());
    ToProto(exit_->system_microseconds, end.mutable_system_time());
    end.set_max_resident_bytes(exit_->peak_memory_bytes);
    // It had ended by itself before it was killed.
    if (exit_->signal == 0) end.clear_reason();
  } else {
    end.set_signal(SIGKILL);
    if (kill_reason_.empty()) end.set_reason("its init was killed");
  }
  if (events.ended != nullptr) events.ended(end);
}

void LaunchedWorker::ReadReports() {
  const auto self = shared_from_this();
  char packet[sizeof(sandbox::Report) + 1];
  while (reports_.valid()) {
    const ssize_t got = recv(reports_.get(), packet, sizeof packet, MSG_DONTWAIT);
    if (got < 0 && errno == EINTR) continue;
    if (got == 0 && std::exchange(unreported_, nullptr) != nullptr) OnEnded(UnknownEnd());
    if (got <= 0) return;  // the end of another one is told by the zygote
    const absl::StatusOr<sandbox::Report> report =
        sandbox::ParseReport(absl::string_view(packet, static_cast<size_t>(got)));
    if (report.ok()) OnReport(*report);
  }
}

void LaunchedWorker::OnReport(const sandbox::Report& report) {
  switch (report.kind) {
    case sandbox::Report::Kind::kStartFailed:
      // INVARIANT(fail-closed)
      if (events_.started != nullptr && !start_failure_.has_value()) {
        start_failure_ = absl::FailedPreconditionError(
            absl::StrCat("launch worker: ", sandbox::StepName(report.step), ": ",
                         strerror(report.error_number)));
      }
      EndIt();
      return;
    case sandbox::Report::Kind::kWaits:
      if (!job_.valid() || events_.started == nullptr || start_failure_.has_value()) return;
      CancelTimer();
      std::exchange(events_.started, nullptr)(Layers(report));
      return;
    case sandbox::Report::Kind::kStarted:
      if (events_.started == nullptr || start_failure_.has_value()) return;
      CancelTimer();
      order_.reset();
      job_.Reset();
      if (wall_time_ > absl::ZeroDuration()) {
        timer_ = parts_.loop->RunAt(absl::Now() + wall_time_, [weak = weak_from_this()] {
          if (const auto late = weak.lock()) {
            late->timer_ = 0;
            late->Kill("wall_time");
          }
        });
      }
      std::exchange(events_.started, nullptr)(Layers(report));
      return;
    case sandbox::Report::Kind::kViolation:
      violation_ = sandbox::ViolatedCall(report);
      return;
    case sandbox::Report::Kind::kExited:
      exit_ = report;
      if (kill_reason_.empty() && report.signal == SIGXCPU) kill_reason_ = "cpu_time";
      return;
  }
}

// Told with the end of the process, when nothing of it is left.
void LaunchedWorker::FailStart(const absl::Status& status) {
  if (events_.started == nullptr) return;
  if (!start_failure_.has_value()) start_failure_ = status;
  Kill("");
}

void LaunchedWorker::Kill(std::string reason) {
  if (kill_reason_.empty()) kill_reason_ = std::move(reason);
  killed_ = true;
  EndIt();
}

void LaunchedWorker::EndIt() {
  // Whichever is sooner; before the process is known there is only the lifeline.
  lifeline_.Reset();
  if (init_.process.valid()) (void)init_.process.Signal(SIGKILL);
}

absl::Status LaunchedWorker::Signal(int signal) {
  const auto byte = static_cast<unsigned char>(signal);
  if (!lifeline_.valid()) return absl::NotFoundError("signal: the worker was killed");
  if (send(lifeline_.get(), &byte, 1, MSG_DONTWAIT | MSG_NOSIGNAL) != 1) {
    return ErrnoToStatus(errno, "signal");
  }
  return absl::OkStatus();
}

void LaunchedWorker::CancelTimer() {
  if (timer_ != 0) parts_.loop->Cancel(std::exchange(timer_, 0));
}

void LaunchedWorker::StopWatching() {
  if (cpu_timer_ != 0) parts_.loop->Cancel(std::exchange(cpu_timer_, 0));
  if (reports_watch_ != 0) parts_.loop->Remove(std::exchange(reports_watch_, 0), reports_);
  reports_.Reset();
}

}  // namespace capbroker::broker
