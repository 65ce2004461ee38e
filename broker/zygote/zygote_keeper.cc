#include "broker/zygote/zygote_keeper.h"

#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/errno_status.h"
#include "base/lifeline.h"
#include "base/status_macros.h"
#include "broker/zygote/process.h"
#include "transport/packet.h"

namespace capbroker::broker {
namespace {

// How long a zygote may take to fork: it needs a millisecond.
constexpr absl::Duration kObedienceTime = absl::Seconds(10);

timeval FromMicroseconds(uint64_t microseconds) {
  return {static_cast<time_t>(microseconds / 1'000'000),
          static_cast<suseconds_t>(microseconds % 1'000'000)};
}

ChildEnd ToChildEnd(const v1::ZygoteReport::Ended& ended) {
  ChildEnd end;
  end.exit_code = ended.exit_code();
  end.signal = ended.signal();
  end.usage.ru_utime = FromMicroseconds(ended.user_microseconds());
  end.usage.ru_stime = FromMicroseconds(ended.system_microseconds());
  end.usage.ru_maxrss = static_cast<long>(ended.max_resident_bytes() / 1024);
  end.violation = ended.violation();
  end.out_of_memory = ended.out_of_memory();
  return end;
}

// POLLIN: it has ended. POLLHUP: and was reaped.
int Events(const PidFd& process) {
  pollfd p = {process.fd().get(), POLLIN, 0};
  return poll(&p, 1, 0) > 0 ? p.revents : 0;
}

}  // namespace

ChildEnd UnknownEnd() {
  ChildEnd end;
  end.signal = SIGKILL;
  return end;
}

ZygoteKeeper::ZygoteKeeper(serving::EventLoop* loop, RunFunction run)
    : loop_(loop), run_(std::move(run)) {}

ZygoteKeeper::~ZygoteKeeper() {
  if (watchdog_ != 0) loop_->Cancel(watchdog_);
  if (control_watch_ != 0) loop_->Remove(control_watch_, control_);
  if (child_signals_watch_ != 0) loop_->Remove(child_signals_watch_, child_signals_);
}

absl::Status ZygoteKeeper::Start() {
  // Children whose zygote has died announce their end by SIGCHLD, whatever they were
  // forked with: the kernel resets it when it gives them a new parent.
  sigset_t child;
  sigemptyset(&child);
  sigaddset(&child, SIGCHLD);
  sigprocmask(SIG_BLOCK, &child, nullptr);
  child_signals_.Reset(signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!child_signals_.valid()) return ErrnoToStatus(errno, "watch children");
  CB_ASSIGN_OR_RETURN(child_signals_watch_, loop_->Add(child_signals_, EPOLLIN, [this](uint32_t) {
    signalfd_siginfo info;
    while (read(child_signals_.get(), &info, sizeof info) > 0) {
    }
    ReapOrphans();
    return serving::Left::kNothing;
  }));
  CB_ASSIGN_OR_RETURN(reserve_, ZygoteReserve::Start(run_));
  return StartZygote();
}

absl::StatusOr<ZygoteKeeper::Lines> ZygoteKeeper::MakeLines() {
  CB_ASSIGN_OR_RETURN(transport::LanePair lane,
                      transport::MakeLane(transport::ClientDescriptors::kAccepted));
  CB_ASSIGN_OR_RETURN(Lifeline line, MakeLifeline());
  return Lines{std::move(lane.client), std::move(line.kept), std::move(lane.service),
               std::move(line.held)};
}

// The spare if there is one: its memory knows of nothing.
absl::Status ZygoteKeeper::TakeOver() {
  Spare spare = std::exchange(spare_, Spare{.generation = spare_.generation});
  if (spare.child.pid != 0 && (Events(spare.child.process) & POLLIN) == 0) {
    return Activate(std::move(spare.child), std::move(spare.control), std::move(spare.lifeline));
  }
  return StartZygote();
}

absl::Status ZygoteKeeper::StartZygote() {
  CB_ASSIGN_OR_RETURN(Lines lines, MakeLines());
  CB_ASSIGN_OR_RETURN(ChildProcess zygote, reserve_.ForkZygote(std::move(lines.control_end),
                                                               std::move(lines.lifeline_end)));
  return Activate(std::move(zygote), std::move(lines.control), std::move(lines.lifeline));
}

absl::Status ZygoteKeeper::Activate(ChildProcess zygote, UniqueFd control, UniqueFd lifeline) {
  zygote_ = std::move(zygote);
  lifeline_ = std::move(lifeline);
  control_ = std::move(control);
  CB_ASSIGN_OR_RETURN(control_watch_, loop_->Add(control_, EPOLLIN | EPOLLOUT | EPOLLRDHUP,
                                                 [this](uint32_t events) {
                                                   OnControl(events);
                                                   return serving::Left::kNothing;
                                                 }));
  // First of all, while it knows of nothing.
  RequestSpare();
  return absl::OkStatus();
}

void ZygoteKeeper::RequestSpare() {
  absl::StatusOr<Lines> lines = MakeLines();
  if (!lines.ok()) return Log(absl::StrCat("no spare zygote: ", lines.status().message()));
  const uint64_t generation = spare_.generation + 1;
  spare_ = {generation, {}, std::move(lines->control), std::move(lines->lifeline)};
  v1::ZygoteCommand command;
  command.mutable_fork_spare()->mutable_control()->set_slot(1);
  command.mutable_fork_spare()->mutable_lifeline()->set_slot(2);
  std::vector<UniqueFd> descriptors;
  descriptors.push_back(std::move(lines->control_end));
  descriptors.push_back(std::move(lines->lifeline_end));
  const auto lost = [this, generation] {
    if (spare_.generation == generation) spare_ = {.generation = generation};
  };
  // A spare that dies is not replaced: by now the zygote knows too much.
  Fork(
      command, std::move(descriptors),
      [this, generation, lost](absl::StatusOr<ChildProcess> forked) {
        if (!forked.ok()) return lost();
        if (spare_.generation == generation) spare_.child = *std::move(forked);
      },
      [lost](const ProcessEnd&) { lost(); });
}

void ZygoteKeeper::Fork(const v1::ZygoteCommand& command, std::vector<UniqueFd> descriptors,
                        Forked forked, Ended ended) {
  const uint64_t call = next_call_++;
  Request& request = requests_[call];
  request.forked = std::move(forked);
  request.ended = std::move(ended);
  request.deadline = absl::Now() + kObedienceTime;
  if (watchdog_ == 0) ArmWatchdog(request.deadline);
  Queued queued = {call, command.SerializeAsString(), std::move(descriptors)};
  if (queued.message.size() > transport::kMaxInlineMessage) {
    FailLater(call, absl::ResourceExhaustedError("arguments and environment larger than 64 KiB"));
    return;
  }
  queue_.push_back(std::move(queued));
  if (zygote_.pid == 0) {
    // It crashed too often to be replaced at once: now it is needed.
    if (const absl::Status started = TakeOver(); !started.ok()) {
      queue_.clear();
      loop_->Post([unanswered = TakeUnanswered(), started] {
        for (const Forked& told : unanswered) told(started);
      });
      return;
    }
  }
  Flush();
}

void ZygoteKeeper::FailLater(uint64_t call, const absl::Status& why) {
  loop_->Post([this, call, why] {
    v1::ZygoteReport report;
    report.mutable_failed()->set_code(static_cast<int>(why.code()));
    report.mutable_failed()->set_message(std::string(why.message()));
    Deliver(call, report, {});
  });
}

// INVARIANT(no-hang): a zygote that is stopped or hangs answers nobody.
void ZygoteKeeper::ArmWatchdog(absl::Time when) {
  watchdog_ = loop_->RunAt(when, [this] {
    watchdog_ = 0;
    absl::Time next = absl::InfiniteFuture();
    for (const auto& [call, request] : requests_) {
      if (request.forked != nullptr) next = std::min(next, request.deadline);
    }
    if (next == absl::InfiniteFuture()) return;
    if (next > absl::Now()) return ArmWatchdog(next);
    Log("the zygote does not answer: killed");
    if (zygote_.pid != 0) (void)zygote_.process.Signal(SIGKILL);
    ArmWatchdog(absl::Now() + kObedienceTime);
  });
}

void ZygoteKeeper::Flush() {
  while (!queue_.empty()) {
    const Queued& next = queue_.front();
    transport::OutgoingPacket packet;
    packet.header.type = transport::PacketType::kRequest;
    packet.header.call = next.call;
    packet.message = next.message;
    const std::vector<FdRef> descriptors(next.descriptors.begin(), next.descriptors.end());
    packet.descriptors = descriptors;
    const transport::SendResult sent = transport::SendPacket(control_, packet);
    if (sent.would_block) return;
    if (!sent.status.ok()) {
      // A zygote that is gone is found by OnControl(); anything else is this command's.
      if (absl::IsUnavailable(sent.status)) return;
      FailLater(next.call, sent.status);
    }
    queue_.pop_front();
  }
}

void ZygoteKeeper::OnControl(uint32_t events) {
  const bool alive = Receive();
  if (!alive || (events & (EPOLLHUP | EPOLLRDHUP | EPOLLERR)) != 0) {
    OnDeath();
  } else {
    Flush();
  }
}

// False: the zygote is gone, and everything that it had reported was received.
bool ZygoteKeeper::Receive() {
  while (true) {
    absl::StatusOr<std::optional<transport::ReceivedPacket>> packet = transport::ReceivePacket(
        control_, buffer_, transport::PacketDirection::kToClient, transport::Blocking::kDontWait);
    if (!packet.ok()) return false;
    if (!packet->has_value()) return true;
    v1::ZygoteReport report;
    const absl::string_view bytes = (*packet)->view.message;
    if (!report.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) return false;
    Deliver((*packet)->view.header.call, report, std::move((*packet)->descriptors));
  }
}

void ZygoteKeeper::Deliver(uint64_t call, const v1::ZygoteReport& report,
                           std::vector<UniqueFd> descriptors) {
  const auto found = requests_.find(call);
  if (found == requests_.end()) return;
  Request& request = found->second;
  switch (report.report_case()) {
    case v1::ZygoteReport::kForked: {
      if (descriptors.empty() || request.forked == nullptr) return;
      request.pid = report.forked().process();
      request.process = PidFd(std::move(descriptors.front()));
      ChildProcess child;
      child.pid = request.pid;
      child.layers = report.forked().layers();
      if (report.forked().cpu_usage().slot() == 2 && descriptors.size() == 2) {
        child.cpu_usage = std::move(descriptors[1]);
      }
      if (absl::StatusOr<UniqueFd> copy = Duplicate(request.process.fd()); copy.ok()) {
        child.process = PidFd(*std::move(copy));
      }
      std::exchange(request.forked, nullptr)(std::move(child));
      return;
    }
    case v1::ZygoteReport::kFailed: {
      if (request.forked == nullptr) return;
      const Forked forked = std::move(request.forked);
      requests_.erase(found);
      forked(absl::Status(static_cast<absl::StatusCode>(report.failed().code()),
                          report.failed().message()));
      return;
    }
    case v1::ZygoteReport::kEnded:
      End(call, ToChildEnd(report.ended()));
      return;
    default:
      return;
  }
}

void ZygoteKeeper::OnDeath() {
  if (zygote_.pid == 0) return;
  loop_->Remove(std::exchange(control_watch_, 0), control_);
  control_.Reset();
  lifeline_.Reset();  // Kills one that has only closed its control lane.
  const absl::StatusOr<ProcessEnd> end = zygote_.process.Wait();
  Log(absl::StrCat("the zygote died of signal ", end.ok() ? end->signal : 0));
  ForgetChild(std::exchange(zygote_, ChildProcess()).pid);
  queue_.clear();
  AdoptChildren();
  const absl::Status unavailable = absl::UnavailableError("the zygote died; try again");
  const std::vector<Forked> unanswered = TakeUnanswered();
  const absl::Status started = crashes_.Count(absl::Now()) ? TakeOver() : unavailable;
  if (!started.ok()) Log(absl::StrCat("no new zygote for now: ", started.message()));
  // Last, because those that are told may ask for new processes.
  for (const Forked& told : unanswered) told(unavailable);
  ReapOrphans();
}

std::vector<ZygoteKeeper::Forked> ZygoteKeeper::TakeUnanswered() {
  std::vector<Forked> unanswered;
  for (auto request = requests_.begin(); request != requests_.end();) {
    if (request->second.forked == nullptr) {
      ++request;
      continue;
    }
    unanswered.push_back(std::move(request->second.forked));
    request = requests_.erase(request);
  }
  return unanswered;
}

// Of a zygote that began as another's child.
void ZygoteKeeper::ForgetChild(pid_t pid) {
  std::erase_if(requests_, [pid](const auto& request) { return request.second.pid == pid; });
}

void ZygoteKeeper::AdoptChildren() {
  std::vector<uint64_t> untold;
  for (auto& [call, request] : requests_) {
    if (request.pid == 0) continue;
    request.orphan = true;
    // Reaped by the zygote, which did not come to report it.
    if ((Events(request.process) & POLLHUP) != 0) untold.push_back(call);
  }
  for (const uint64_t call : untold) End(call, UnknownEnd());
}

void ZygoteKeeper::ReapOrphans() {
  while (true) {
    siginfo_t info = {};
    if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT | __WALL) != 0 || info.si_pid == 0) {
      return;
    }
    // The zygote's own end is for OnDeath(), and until then hides nobody's: its
    // children are not the broker's yet.
    if (info.si_pid == zygote_.pid) return;
    const auto known = std::find_if(requests_.begin(), requests_.end(), [&](const auto& entry) {
      return entry.second.orphan && entry.second.pid == info.si_pid;
    });
    if (known == requests_.end()) {
      // A stranger's: forked and not reported, or left behind by a service process.
      siginfo_t reaped = {};
      waitid(P_PID, static_cast<id_t>(info.si_pid), &reaped, WEXITED | WNOHANG | __WALL);
      continue;
    }
    const absl::StatusOr<ProcessEnd> end = known->second.process.Wait();
    End(known->first, end.ok() ? ChildEnd{*end} : UnknownEnd());
  }
}

void ZygoteKeeper::End(uint64_t call, const ChildEnd& end) {
  const auto found = requests_.find(call);
  if (found == requests_.end() || found->second.forked != nullptr) return;
  const Ended ended = std::move(found->second.ended);
  requests_.erase(found);
  ended(end);
}

}  // namespace capbroker::broker
