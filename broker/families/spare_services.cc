#include "broker/families/spare_services.h"

#include <algorithm>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "broker/zygote/process.h"

namespace capbroker::broker {
namespace {

// After a start: longer than it takes, so that the next spare is not made at its cost.
constexpr absl::Duration kAfterStart = absl::Milliseconds(5);
// After one has failed or died: what killed it may go on doing so.
constexpr absl::Duration kAfterLoss = absl::Milliseconds(500);

void Discard(Incarnation& process) {
  process.Abandon();
  process.Kill();
}

}  // namespace

SpareServices::~SpareServices() {
  if (timer_ != 0) parts_.loop->Cancel(timer_);
  for (const Spare& spare : spares_) Discard(*spare.process);
}

std::shared_ptr<Incarnation> SpareServices::Employ(Family* family, bool successor,
                                                   const Incarnation::Events& events) {
  if (count_ == 0) return nullptr;
  const std::string& service = family->service().name;
  std::shared_ptr<Incarnation> employed;
  for (auto spare = spares_.begin(); spare != spares_.end() && employed == nullptr;) {
    if (spare->zygote == 0 || spare->service != service) {
      ++spare;
      continue;
    }
    if (spare->zygote == parts_.zygote->pid() &&
        spare->process->Employ(family, successor, events).ok()) {
      employed = std::move(spare->process);
    } else {
      Discard(*spare->process);
    }
    spare = spares_.erase(spare);
  }
  wanted_.push_front(service);
  if (wanted_.size() > count_) wanted_.pop_back();
  RefillIn(kAfterStart);
  return employed;
}

size_t SpareServices::count() const {
  return static_cast<size_t>(std::count_if(spares_.begin(), spares_.end(), [&](const Spare& spare) {
    return spare.zygote != 0 && spare.zygote == parts_.zygote->pid();
  }));
}

void SpareServices::RefillIn(absl::Duration time) {
  if (timer_ != 0) return;
  timer_ = parts_.loop->RunAt(absl::Now() + time, [this] {
    timer_ = 0;
    Refill();
  });
}

// One at a time: the next is begun when this one is forked.
void SpareServices::Refill() {
  for (auto spare = spares_.begin(); spare != spares_.end();) {
    if (spare->zygote == 0) return;
    if (spare->zygote == parts_.zygote->pid() && !IsTooMany(*spare)) {
      ++spare;
      continue;
    }
    Discard(*spare->process);
    spare = spares_.erase(spare);
  }
  for (const std::string& service : wanted_) {
    const auto is_it = [&service](const Spare& spare) { return spare.service == service; };
    if (std::count_if(spares_.begin(), spares_.end(), is_it) <
        std::count(wanted_.begin(), wanted_.end(), service)) {
      return Make(service);
    }
  }
}

bool SpareServices::IsTooMany(const Spare& spare) const {
  const auto is_it = [&spare](const Spare& other) { return other.service == spare.service; };
  return std::count_if(spares_.begin(), spares_.end(), is_it) >
         std::count(wanted_.begin(), wanted_.end(), spare.service);
}

void SpareServices::Make(const std::string& service) {
  const uint64_t number = next_number_++;
  absl::StatusOr<std::shared_ptr<Incarnation>> process =
      Incarnation::StartSpare(parts_, service,
                              {.forked =
                                   [this, number](const absl::Status& forked) {
                                     forked.ok() ? OnForked(number) : OnLost(number);
                                   },
                               .ended = [this, number](const ChildEnd&) { OnLost(number); }});
  if (!process.ok()) {
    return Log(absl::StrCat("no spare service process: ", process.status().message()));
  }
  spares_.push_back({number, service, 0, *std::move(process)});
}

void SpareServices::OnForked(uint64_t number) {
  for (Spare& spare : spares_) {
    if (spare.number == number) spare.zygote = parts_.zygote->pid();
  }
  // Not within this call, which is an event of a process that may be one too many by now.
  RefillIn(absl::ZeroDuration());
}

void SpareServices::OnLost(uint64_t number) {
  if (spares_.remove_if([number](const Spare& spare) { return spare.number == number; }) != 0) {
    RefillIn(kAfterLoss);
  }
}

}  // namespace capbroker::broker
