#include "services/hosts/name_servers.h"

#include <ares.h>
#include <poll.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <utility>

#include "absl/status/status.h"
#include "absl/time/clock.h"
#include "base/status_macros.h"
#include "services/hosts/dns_query.h"

namespace capbroker::hosts {
namespace {

// How long a server that did not answer is asked last.
constexpr absl::Duration kPreferFor = absl::Seconds(30);

// When a query has to be looked at, for poll(2).
int PollTimeout(absl::Duration wait) {
  if (wait == absl::InfiniteDuration()) return -1;
  wait = std::clamp(wait, absl::ZeroDuration(), absl::Hours(1));
  return static_cast<int>(absl::ToInt64Milliseconds(absl::Ceil(wait, absl::Milliseconds(1))));
}

}  // namespace

// One question and its queries, one for each type.
class NameServers::Exchange {
 public:
  Exchange(Question question, Done done, size_t first_server)
      : question_(std::move(question)), done_(std::move(done)) {
    for (RecordType type : question_.types) {
      queries_.push_back(
          std::make_unique<DnsQuery>(question_.name, type, question_.conf, first_server));
    }
  }

  bool finished() const {
    return given_up_ || std::all_of(queries_.begin(), queries_.end(),
                                    [](const auto& query) { return query->finished(); });
  }
  void GiveUp() { given_up_ = true; }

  void Deliver() {
    Results results;
    for (const auto& query : queries_) results.push_back(query->TakeResult());
    // The sockets are closed before the next question is asked.
    queries_.clear();
    done_(std::move(results));
  }

  const Question& question() const { return question_; }
  const std::vector<std::unique_ptr<DnsQuery>>& queries() const { return queries_; }

 private:
  const Question question_;
  const Done done_;
  std::vector<std::unique_ptr<DnsQuery>> queries_;
  bool given_up_ = false;
};

NameServers::NameServers() = default;

NameServers::~NameServers() {
  std::optional<QuietThread> thread;
  {
    absl::MutexLock lock(&mutex_);
    stopping_ = true;
    thread.swap(thread_);
  }
  if (!thread.has_value()) return;
  eventfd_write(wake_.get(), 1);
  thread->Join();
}

absl::StatusOr<uint64_t> NameServers::Ask(Question question, Done done) {
  absl::MutexLock lock(&mutex_);
  if (!thread_.has_value()) CB_RETURN_IF_ERROR(StartThread());
  const uint64_t id = next_id_++;
  orders_.push_back({.id = id, .question = std::move(question), .done = std::move(done)});
  eventfd_write(wake_.get(), 1);
  return id;
}

void NameServers::Cancel(uint64_t id) {
  absl::MutexLock lock(&mutex_);
  if (!thread_.has_value()) return;
  orders_.push_back({.id = id, .question = {}, .done = nullptr});
  eventfd_write(wake_.get(), 1);
}

absl::Status NameServers::StartThread() {
  if (!wake_.valid()) {
    ares_library_init(ARES_LIB_INIT_ALL);
    wake_ = UniqueFd(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  }
  if (wake_.valid()) {
    if (std::optional<QuietThread> thread = QuietThread::Start([this] { Run(); })) {
      thread_.emplace(*std::move(thread));
      return absl::OkStatus();
    }
  }
  return absl::UnavailableError("no thread to ask name servers");
}

void NameServers::Run() {
  while (TakeOrders()) {
    DeliverResults();
    PollExchanges();
    DeliverResults();
  }
  exchanges_.clear();
}

bool NameServers::TakeOrders() {
  std::vector<Order> orders;
  {
    absl::MutexLock lock(&mutex_);
    if (stopping_) return false;
    orders.swap(orders_);
  }
  for (Order& order : orders) {
    if (order.done == nullptr) {
      exchanges_.erase(order.id);
      continue;
    }
    const size_t first = FirstServer(*order.question.conf);
    exchanges_[order.id] =
        std::make_unique<Exchange>(std::move(order.question), std::move(order.done), first);
  }
  return true;
}

size_t NameServers::FirstServer(const ResolvConf& conf) {
  if (conf.rotate) return next_first_++ % conf.servers.size();
  const bool prefer = absl::Now() < preferred_until_ && preferred_of_ == conf.servers;
  return prefer ? preferred_ : 0;
}

void NameServers::PollExchanges() {
  std::vector<pollfd> polls = {{.fd = wake_.get(), .events = POLLIN, .revents = 0}};
  std::vector<DnsQuery*> owners = {nullptr};
  absl::Duration wait = absl::InfiniteDuration();
  const absl::Time before = absl::Now();
  for (const auto& [id, exchange] : exchanges_) {
    wait = std::min(wait, exchange->question().give_up - before);
    for (const std::unique_ptr<DnsQuery>& query : exchange->queries()) {
      if (query->finished()) continue;
      query->AddPolls(polls);
      owners.resize(polls.size(), query.get());
      wait = std::min(wait, query->Patience());
    }
  }
  // On an error nothing is ready, and the queries end by their time-outs.
  poll(polls.data(), polls.size(), PollTimeout(wait));
  if (polls[0].revents != 0) {
    eventfd_t count;
    eventfd_read(wake_.get(), &count);
  }
  for (size_t i = 1; i < polls.size(); ++i) {
    if (polls[i].revents != 0) owners[i]->Process(polls[i]);
  }
  const absl::Time now = absl::Now();
  for (const auto& [id, exchange] : exchanges_) {
    for (const std::unique_ptr<DnsQuery>& query : exchange->queries()) {
      if (!query->finished()) query->ProcessTimeouts();
    }
    if (exchange->question().give_up <= now) exchange->GiveUp();
  }
}

void NameServers::DeliverResults() {
  for (auto entry = exchanges_.begin(); entry != exchanges_.end();) {
    if (!entry->second->finished()) {
      ++entry;
      continue;
    }
    const std::unique_ptr<Exchange> exchange = std::move(entry->second);
    entry = exchanges_.erase(entry);
    for (const std::unique_ptr<DnsQuery>& query : exchange->queries()) {
      if (const std::optional<size_t> server = query->answering_server()) {
        preferred_of_ = exchange->question().conf->servers;
        preferred_ = *server;
        preferred_until_ = absl::Now() + kPreferFor;
      }
    }
    exchange->Deliver();
  }
}

}  // namespace capbroker::hosts
