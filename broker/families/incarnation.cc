#include "broker/families/incarnation.h"

#include <signal.h>
#include <sys/epoll.h>

#include <optional>
#include <string>
#include <utility>

#include "absl/time/clock.h"
#include "base/lifeline.h"
#include "base/status_macros.h"
#include "broker/families/supervisor.h"
#include "capbroker/v1/zygote.pb.h"
#include "serving/lane/served_lane.h"
#include "transport/bulk.h"
#include "transport/lane_socket.h"
#include "transport/packet.h"

namespace capbroker::broker {
namespace {

constexpr uint64_t kInstall = transport::MethodId("/capbroker.v1.ServiceControl/Install");
constexpr uint64_t kRevoke = transport::MethodId("/capbroker.v1.ServiceControl/Revoke");

// How long a process may take to confirm a revocation, before it is killed.
constexpr absl::Duration kRevocationTime = absl::Seconds(2);
// How long it may live on when it has closed its lanes.
constexpr absl::Duration kEndingTime = absl::Seconds(1);

// Nothing of an empty message.
template <typename Message>
absl::StatusOr<UniqueFd> Seal(const std::optional<Message>& message) {
  const size_t size = message.has_value() ? message->ByteSizeLong() : 0;
  if (size == 0) return UniqueFd();
  return transport::MakeSealedMessage(
      size, [&](char* bytes) { return message->SerializeToArray(bytes, static_cast<int>(size)); });
}

}  // namespace

absl::StatusOr<std::shared_ptr<Incarnation>> Incarnation::Start(const BrokerParts& parts,
                                                                Family* family, bool successor,
                                                                Events events) {
  auto self = std::shared_ptr<Incarnation>(new Incarnation(parts, std::move(events)));
  CB_ASSIGN_OR_RETURN(Ends ends, self->MakeLanes());
  // Sent before the process exists: it finds its family in the socket.
  CB_RETURN_IF_ERROR(self->Take(family, successor));
  self->Fork(family->service().name, std::move(ends));
  return self;
}

absl::StatusOr<std::shared_ptr<Incarnation>> Incarnation::StartSpare(const BrokerParts& parts,
                                                                     const std::string& service,
                                                                     Events events) {
  auto self = std::shared_ptr<Incarnation>(new Incarnation(parts, std::move(events)));
  CB_ASSIGN_OR_RETURN(Ends ends, self->MakeLanes());
  self->Fork(service, std::move(ends));
  return self;
}

absl::Status Incarnation::Employ(Family* family, bool successor, Events events) {
  CB_RETURN_IF_ERROR(Take(family, successor));
  events_ = std::move(events);
  parts_.loop->Post([weak = weak_from_this()] {
    const auto self = weak.lock();
    if (self != nullptr && self->events_.forked) self->events_.forked(absl::OkStatus());
  });
  return absl::OkStatus();
}

absl::StatusOr<Incarnation::Ends> Incarnation::MakeLanes() {
  CB_ASSIGN_OR_RETURN(transport::LanePair supervisor,
                      transport::MakeLane(transport::ClientDescriptors::kAccepted));
  CB_ASSIGN_OR_RETURN(transport::LanePair commands,
                      transport::MakeLane(transport::ClientDescriptors::kAccepted));
  CB_ASSIGN_OR_RETURN(Lifeline line, MakeLifeline());
  lifeline_ = std::move(line.kept);
  supervisor_end_ = std::move(supervisor.service);
  CB_RETURN_IF_ERROR(Command(std::move(commands.client)));
  return Ends{std::move(supervisor.client), std::move(commands.service), std::move(line.held)};
}

absl::Status Incarnation::Take(Family* family, bool successor) {
  CB_RETURN_IF_ERROR(ServeSupervisor(family));
  return Install(*family, successor);
}

void Incarnation::Fork(const std::string& service, Ends ends) {
  v1::ZygoteCommand command;
  v1::ForkService* fork = command.mutable_fork_service();
  fork->set_service(service);
  std::vector<UniqueFd> descriptors;
  const auto attach = [&](UniqueFd fd, v1::Descriptor* field) {
    descriptors.push_back(std::move(fd));
    field->set_slot(static_cast<uint32_t>(descriptors.size()));
  };
  attach(std::move(ends.supervisor), fork->mutable_supervisor());
  attach(std::move(ends.commands), fork->mutable_commands());
  attach(std::move(ends.lifeline), fork->mutable_lifeline());
  // Held until the process has ended, so that `ended` is always told.
  parts_.zygote->Fork(
      command, std::move(descriptors),
      [self = shared_from_this()](absl::StatusOr<ChildProcess> forked) {
        if (forked.ok()) {
          self->process_ = *std::move(forked);
          // Killed before it was known.
          if (!self->lifeline_.valid()) (void)self->process_.process.Signal(SIGKILL);
        } else {
          self->CloseLanes();
        }
        if (self->events_.forked) self->events_.forked(forked.status());
      },
      [self = shared_from_this()](const ChildEnd& end) {
        // What it had answered counts; a dead process adds nothing to it.
        while (self->Pump() == serving::Left::kMaybeMore) {
        }
        self->CloseLanes();
        if (self->events_.ended) self->events_.ended(end);
      });
}

Incarnation::~Incarnation() {
  Abandon();
  CloseLanes();
}

absl::Status Incarnation::ServeSupervisor(Family* family) {
  const auto closed = [weak = weak_from_this(), loop = parts_.loop] {
    // Not within the call that closes the lane.
    loop->Post([weak] {
      if (const auto self = weak.lock()) self->KillUnlessItEnds();
    });
  };
  CB_ASSIGN_OR_RETURN(
      supervisor_, parts_.server->Serve(std::move(supervisor_end_),
                                        SupervisorMethods(family, parts_.audit), nullptr, closed));
  return absl::OkStatus();
}

absl::Status Incarnation::Command(UniqueFd lane) {
  commands_ = std::make_unique<transport::LaneClient>(std::move(lane), 64 * 1024);
  commands_->UseExternalPump();
  const auto pump = [weak = weak_from_this()](uint32_t) {
    const auto self = weak.lock();
    return self == nullptr ? serving::Left::kNothing : self->Pump();
  };
  CB_ASSIGN_OR_RETURN(commands_watch_,
                      parts_.loop->Add(commands_->fd(), EPOLLIN | EPOLLRDHUP, pump));
  return absl::OkStatus();
}

absl::Status Incarnation::Install(const Family& family, bool successor) {
  CB_ASSIGN_OR_RETURN(const UniqueFd usage, Seal(family.usage()));
  CB_ASSIGN_OR_RETURN(const UniqueFd settings, Seal(family.inputs().settings));
  CB_ASSIGN_OR_RETURN(const UniqueFd opened_with, Seal(family.opened_with()));
  InstallAfter(family, 0, family.last_channel(), successor, {usage, settings, opened_with});
  return absl::OkStatus();
}

// One batch, and when it has been taken the next: the socket has room for one.
void Incarnation::InstallAfter(const Family& family, uint64_t after, uint64_t last, bool successor,
                               const Family::Memories& memories) {
  Family::Installation batch = family.Install(after, last, successor, memories);
  if (parts_.audit->settings() != nullptr) {
    *batch.request.mutable_audit() = *parts_.audit->settings();
  }
  const bool more = batch.request.more();
  Call(kInstall, batch.request, batch.descriptors, 0,
       [weak = weak_from_this(), &family, more, from = batch.last, last,
        successor](const absl::StatusOr<absl::string_view>& taken) {
         const auto self = weak.lock();
         // Without its lanes the process is at its end, and the family may be.
         if (self == nullptr || self->commands_ == nullptr) return;
         // One that does not take its family serves nobody.
         if (!taken.ok()) return self->KillUnlessItEnds();
         self->installed_ = !more;
         if (more) self->InstallAfter(family, from, last, successor, {});
       });
}

void Incarnation::Call(uint64_t method, const google::protobuf::Message& request,
                       const std::vector<FdRef>& descriptors, int64_t deadline_ns,
                       std::function<void(absl::StatusOr<absl::string_view>)> done) {
  const size_t size = request.ByteSizeLong();
  const auto serialize = [&](char* bytes) {
    return request.SerializeToArray(bytes, static_cast<int>(size));
  };
  transport::LaneRequest call = {.method = method,
                                 .deadline_ns = deadline_ns,
                                 .metadata = {},
                                 .message_size = size,
                                 .serialize = serialize,
                                 .descriptors = descriptors};
  commands_->StartCall(
      call, [] { return false; },
      [done = std::move(done)](transport::Reply& r) {
        if (r.status == 0) return done(r.message.unshared());
        done(absl::Status(static_cast<absl::StatusCode>(r.status), r.error));
      });
  // A call that could not be sent is only completed by the next pump.
  parts_.loop->Post([weak = weak_from_this()] {
    if (const auto self = weak.lock()) (void)self->Pump();
  });
}

serving::Left Incarnation::Pump() {
  if (commands_ == nullptr) return serving::Left::kNothing;
  const auto self = shared_from_this();  // a completed call may drop the owner's
  const absl::StatusOr<bool> more = commands_->Pump();
  if (!more.ok()) KillUnlessItEnds();
  return more.value_or(false) ? serving::Left::kMaybeMore : serving::Left::kNothing;
}

void Incarnation::Revoke(const std::vector<uint64_t>& channels,
                         std::function<void(absl::StatusOr<v1::RevokeResponse>)> done) {
  if (commands_ == nullptr) {
    parts_.loop->Post([done = std::move(done)] { done(absl::UnavailableError("no process")); });
    return;
  }
  v1::RevokeRequest request;
  for (const uint64_t channel : channels) request.add_channels(channel);
  Call(kRevoke, request, {},
       transport::MonotonicNowNs() + absl::ToInt64Nanoseconds(kRevocationTime),
       [done = std::move(done)](const absl::StatusOr<absl::string_view>& message) {
         if (!message.ok()) return done(message.status());
         v1::RevokeResponse response;
         // TRUST(worker): a process that was taken over may say what it likes.
         if (!response.ParseFromArray(message->data(), static_cast<int>(message->size()))) {
           return done(absl::InternalError("malformed answer"));
         }
         done(std::move(response));
       });
  parts_.loop->RunAt(absl::Now() + kRevocationTime + absl::Milliseconds(20),
                     [weak = weak_from_this()] {
                       if (const auto self = weak.lock()) (void)self->Pump();
                     });
}

void Incarnation::Kill() {
  lifeline_.Reset();
  if (process_.process.valid()) (void)process_.process.Signal(SIGKILL);
}

void Incarnation::KillUnlessItEnds() {
  if (timer_ != 0 || !lifeline_.valid()) return;
  timer_ = parts_.loop->RunAt(absl::Now() + kEndingTime, [weak = weak_from_this()] {
    if (const auto self = weak.lock()) {
      self->timer_ = 0;
      self->Kill();
    }
  });
}

void Incarnation::Abandon() { events_ = Events(); }

void Incarnation::CloseLanes() {
  lifeline_.Reset();
  if (timer_ != 0) parts_.loop->Cancel(std::exchange(timer_, 0));
  if (supervisor_ != nullptr) std::exchange(supervisor_, nullptr)->Close();
  if (commands_ == nullptr) return;
  parts_.loop->Remove(std::exchange(commands_watch_, 0), commands_->fd());
  commands_->Close();
  // Completes what is in flight, and only then goes: its owner may be in Pump().
  parts_.loop->Post([commands = std::shared_ptr<transport::LaneClient>(std::move(commands_))] {
    (void)commands->Pump();
  });
}

}  // namespace capbroker::broker
