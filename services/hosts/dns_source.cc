#include "services/hosts/dns_source.h"

#include <unistd.h>

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "services/hosts/dns_message.h"

namespace capbroker::hosts {
namespace {

std::string LocalHostName() {
  char name[256] = "";
  if (gethostname(name, sizeof(name) - 1) != 0) return "";
  return name;
}

HostAnswer OutcomeOnly(SourceOutcome outcome) {
  HostAnswer answer;
  answer.outcome = outcome;
  return answer;
}

// One answer out of those for each type. An address of one family is a success even
// if nobody could tell about the other.
HostAnswer Combine(NameServers::Results results) {
  HostAnswer answer;
  bool could_tell = true;
  for (absl::StatusOr<DnsRecords>& records : results) {
    if (!records.ok()) {
      could_tell = could_tell && absl::IsNotFound(records.status());
      continue;
    }
    const bool first = answer.outcome != SourceOutcome::kSuccess;
    answer.outcome = SourceOutcome::kSuccess;
    answer.ttl_seconds =
        first ? records->ttl_seconds : std::min(answer.ttl_seconds, records->ttl_seconds);
    if (first) answer.canonical_name = std::move(records->canonical_name);
    answer.addresses.insert(answer.addresses.end(), records->addresses.begin(),
                            records->addresses.end());
    answer.names.insert(answer.names.end(), records->names.begin(), records->names.end());
  }
  if (answer.outcome != SourceOutcome::kSuccess && !could_tell) {
    answer.outcome = SourceOutcome::kTryAgain;
  }
  return answer;
}

}  // namespace

// Asks for one name after the other until there is an answer.
class DnsSource::Search : public std::enable_shared_from_this<Search> {
 public:
  Search(NameServers* servers, std::shared_ptr<const ResolvConf> conf,
         std::shared_ptr<const HostQuestion> question, std::stop_token stop, Done done)
      : servers_(servers),
        conf_(std::move(conf)),
        question_(std::move(question)),
        stop_(std::move(stop)),
        done_(std::move(done)) {}

  void Start() {
    if (question_->address.has_value()) {
      types_ = {RecordType::kPtr};
      names_ = {ReverseName(*question_->address)};
    } else {
      if (question_->v4) types_.push_back(RecordType::kA);
      if (question_->v6 && !conf_->no_aaaa) types_.push_back(RecordType::kAaaa);
      names_ = conf_->Candidates(question_->name.text, question_->name.absolute);
      // INVARIANT(name-checked-before-look): a search domain makes another name of
      // the one that was allowed.
      names_.erase(std::remove_if(names_.begin(), names_.end(),
                                  [this](const std::string& name) {
                                    return IsNeverInDns(name) || (name != question_->name.text &&
                                                                  !question_->may_ask(name));
                                  }),
                   names_.end());
    }
    if (types_.empty()) return done_(OutcomeOnly(SourceOutcome::kNotFound));
    AskNext();
  }

 private:
  void AskNext() {
    if (stop_.stop_requested()) return;
    if (next_ == names_.size()) return done_(OutcomeOnly(SourceOutcome::kNotFound));
    NameServers::Question question = {
        .name = names_[next_++], .types = types_, .conf = conf_, .give_up = question_->give_up};
    const absl::StatusOr<uint64_t> id = servers_->Ask(
        std::move(question), [self = shared_from_this()](NameServers::Results results) {
          self->OnResults(std::move(results));
        });
    if (!id.ok()) return done_(OutcomeOnly(SourceOutcome::kUnavailable));
    CancelOnStop(*id);
  }

  // Replaces the callback of the name before, which has been answered.
  void CancelOnStop(uint64_t id) {
    auto cancel =
        std::make_unique<Cancel>(stop_, [servers = servers_, id] { servers->Cancel(id); });
    absl::MutexLock lock(&mutex_);
    // The answer may have come already, and the next name been asked for.
    if (id < newest_) return;
    newest_ = id;
    cancel_.swap(cancel);
  }

  void OnResults(NameServers::Results results) {
    HostAnswer answer = Combine(std::move(results));
    // To go on when nobody could tell would let a passing failure of one domain
    // decide which host a short name means.
    if (answer.outcome == SourceOutcome::kNotFound) return AskNext();
    if (!stop_.stop_requested()) done_(std::move(answer));
  }

  using Cancel = std::stop_callback<std::function<void()>>;

  NameServers* const servers_;
  const std::shared_ptr<const ResolvConf> conf_;
  const std::shared_ptr<const HostQuestion> question_;
  const std::stop_token stop_;
  const Done done_;
  std::vector<RecordType> types_;
  std::vector<std::string> names_;
  size_t next_ = 0;
  absl::Mutex mutex_;
  uint64_t newest_ ABSL_GUARDED_BY(mutex_) = 0;
  std::unique_ptr<Cancel> cancel_ ABSL_GUARDED_BY(mutex_);
};

DnsSource::DnsSource(std::string resolv_conf_path)
    : conf_(std::move(resolv_conf_path),
            [](absl::string_view text) { return ResolvConf::Parse(text, LocalHostName()); }) {}

void DnsSource::Ask(std::shared_ptr<const HostQuestion> question, std::stop_token stop, Done done) {
  std::make_shared<Search>(&servers_, conf_.Get(), std::move(question), std::move(stop),
                           std::move(done))
      ->Start();
}

}  // namespace capbroker::hosts
