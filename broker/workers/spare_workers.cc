#include "broker/workers/spare_workers.h"

#include <algorithm>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "broker/zygote/process.h"
#include "capbroker/v1/broker.pb.h"

namespace capbroker::broker {
namespace {

// After a launch: longer than it takes, so that the next spare is not made at its cost.
constexpr absl::Duration kAfterLaunch = absl::Milliseconds(5);
// After one has failed or died without a job: what killed it may go on doing so.
constexpr absl::Duration kAfterLoss = absl::Milliseconds(500);

// What of a launch a spare's confinement depends on. Time on the wall is the broker's to watch.
v1::ForkWorker KindOf(const v1::ForkWorker& command) {
  v1::ForkWorker kind;
  *kind.mutable_bounds() = command.bounds();
  kind.mutable_bounds()->clear_wall_time();
  kind.set_resizes_files(command.resizes_files());
  kind.set_makes_code(command.makes_code());
  kind.set_accepts_connections(command.accepts_connections());
  return kind;
}

}  // namespace

SpareWorkers::SpareWorkers(const BrokerParts& parts, size_t count)
    : parts_(parts), wanted_(count, KindOf(v1::ForkWorker()).SerializeAsString()) {
  if (!wanted_.empty()) RefillIn(kAfterLaunch);
}

SpareWorkers::~SpareWorkers() {
  if (timer_ != 0) parts_.loop->Cancel(timer_);
}

std::shared_ptr<LaunchedWorker> SpareWorkers::Employ(v1::ForkWorker& command,
                                                     std::vector<UniqueFd>& descriptors,
                                                     LaunchedWorker::Events& events) {
  if (wanted_.empty() || command.entry() == 0 || command.has_supervision()) return nullptr;
  std::string kind = KindOf(command).SerializeAsString();
  std::shared_ptr<LaunchedWorker> employed;
  for (auto spare = spares_.begin(); spare != spares_.end() && employed == nullptr;) {
    if (!spare->waits || spare->kind != kind) {
      ++spare;
      continue;
    }
    if (spare->worker->Employ(command, descriptors, events)) {
      employed = std::move(spare->worker);
    } else {
      spare->worker->Kill("");
    }
    spare = spares_.erase(spare);
  }
  wanted_.pop_back();
  wanted_.push_front(std::move(kind));
  RefillIn(kAfterLaunch);
  return employed;
}

size_t SpareWorkers::count() const {
  return static_cast<size_t>(std::count_if(spares_.begin(), spares_.end(),
                                           [](const Spare& spare) { return spare.waits; }));
}

void SpareWorkers::RefillIn(absl::Duration time) {
  if (timer_ != 0) return;
  timer_ = parts_.loop->RunAt(absl::Now() + time, [this] {
    timer_ = 0;
    Refill();
  });
}

// One at a time: the next is begun when this one waits.
void SpareWorkers::Refill() {
  for (const Spare& spare : spares_) {
    if (!spare.waits) return;
  }
  for (const std::string& kind : wanted_) {
    const auto has_it = [&kind](const Spare& spare) { return spare.kind == kind; };
    if (std::count_if(spares_.begin(), spares_.end(), has_it) <
        std::count(wanted_.begin(), wanted_.end(), kind)) {
      return Make(kind);
    }
  }
}

// Of a kind of which there are more than are wanted.
void SpareWorkers::DropOneTooMany() {
  for (auto spare = spares_.begin(); spare != spares_.end(); ++spare) {
    const auto has_it = [&](const Spare& other) { return other.kind == spare->kind; };
    if (std::count_if(spares_.begin(), spares_.end(), has_it) >
        std::count(wanted_.begin(), wanted_.end(), spare->kind)) {
      spare->worker->Kill("");
      spares_.erase(spare);
      return;
    }
  }
}

void SpareWorkers::Make(const std::string& kind) {
  if (spares_.size() >= wanted_.size()) DropOneTooMany();
  v1::ForkWorker command;
  (void)command.ParseFromString(kind);
  const uint64_t number = next_number_++;
  absl::StatusOr<std::shared_ptr<LaunchedWorker>> worker = LaunchedWorker::StartSpare(
      parts_, std::move(command),
      {.started =
           [this, number](const absl::StatusOr<std::vector<std::string>>& layers) {
             layers.ok() ? OnWaiting(number) : OnLost(number);
           },
       .ended = [this, number](const v1::WaitWorkerResponse&) { OnLost(number); }});
  if (!worker.ok()) return Log(absl::StrCat("no spare worker: ", worker.status().message()));
  spares_.push_back({number, kind, *std::move(worker)});
}

void SpareWorkers::OnWaiting(uint64_t number) {
  for (Spare& spare : spares_) spare.waits = spare.waits || spare.number == number;
  Refill();
}

void SpareWorkers::OnLost(uint64_t number) {
  const auto is_it = [number](const Spare& spare) { return spare.number == number; };
  if (spares_.remove_if(is_it) != 0) RefillIn(kAfterLoss);
}

}  // namespace capbroker::broker
