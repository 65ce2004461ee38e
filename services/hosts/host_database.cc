#include "services/hosts/host_database.h"

#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "services/hosts/host_name.h"
#include "services/hosts/nss_module.h"
#include "services/hosts/resolv_conf.h"

namespace capbroker::hosts {
namespace {

HostAnswer LoopbackAnswer(const HostQuestion& question) {
  HostAnswer answer;
  if (question.v6) answer.addresses.push_back(*IpAddress::Parse("::1"));
  if (question.v4) answer.addresses.push_back(*IpAddress::Parse("127.0.0.1"));
  answer.outcome = answer.addresses.empty() ? SourceOutcome::kNotFound : SourceOutcome::kSuccess;
  answer.canonical_name = question.name.text;
  return answer;
}

}  // namespace

// The source "files": hosts(5).
class HostDatabase::FilesSource : public HostSource {
 public:
  explicit FilesSource(std::string path) : hosts_(std::move(path), &HostsFile::Parse) {}

  void Ask(std::shared_ptr<const HostQuestion> question, std::stop_token /*stop*/,
           Done done) override {
    const std::shared_ptr<const HostsFile> hosts = hosts_.Get();
    HostAnswer answer;
    if (question->address.has_value()) {
      answer.names = hosts->NamesOf(*question->address);
    } else {
      HostsFile::Entry entry = hosts->Find(question->name.text, question->v4, question->v6);
      answer.addresses = std::move(entry.addresses);
      answer.canonical_name = std::move(entry.canonical_name);
    }
    const bool found = !answer.names.empty() || !answer.addresses.empty();
    answer.outcome = found ? SourceOutcome::kSuccess : SourceOutcome::kNotFound;
    done(std::move(answer));
  }

 private:
  ConfigFile<HostsFile> hosts_;
};

// One question on its way through the sources.
class HostDatabase::Lookup : public std::enable_shared_from_this<Lookup> {
 public:
  Lookup(HostDatabase* database, std::shared_ptr<const std::vector<SourceRule>> rules,
         std::shared_ptr<const HostQuestion> question, std::stop_token stop, Done done)
      : database_(database),
        count_(database->lookups_),
        rules_(std::move(rules)),
        question_(std::move(question)),
        stop_(std::move(stop)),
        done_(std::move(done)) {
    ++*count_;
  }
  ~Lookup() { --*count_; }
  Lookup(const Lookup&) = delete;
  Lookup& operator=(const Lookup&) = delete;

  void AskNext() {
    if (stop_.stop_requested()) return;
    if (next_ == rules_->size()) return GiveUp();
    const SourceRule& rule = (*rules_)[next_++];
    HostSource* const source = database_->FindSource(rule.source);
    if (source == nullptr) {
      HostAnswer answer;
      answer.outcome = SourceOutcome::kUnavailable;
      return OnAnswer(rule, std::move(answer));
    }
    source->Ask(question_, stop_, [self = shared_from_this(), &rule](HostAnswer answer) {
      self->OnAnswer(rule, std::move(answer));
    });
  }

 private:
  void OnAnswer(const SourceRule& rule, HostAnswer answer) {
    if (answer.outcome == SourceOutcome::kSuccess) return done_(std::move(answer));
    const bool failed = answer.outcome != SourceOutcome::kNotFound;
    if (answer.outcome == SourceOutcome::kTryAgain || (failed && rule.source == "dns")) {
      could_not_tell_ = true;
    } else if (failed) {
      // A module whose daemon doesn't run; it counts if nobody else knows.
      module_missing_ = true;
    } else if (rule.source != "files") {
      said_no_ = true;
    }
    if (rule.IsFinal(answer.outcome)) return GiveUp();
    AskNext();
  }

  void GiveUp() {
    if (could_not_tell_ || (module_missing_ && !said_no_)) {
      return done_(absl::UnavailableError("nobody who could know answered"));
    }
    done_(absl::NotFoundError("nothing is known"));
  }

  HostDatabase* const database_;
  const std::shared_ptr<std::atomic<int>> count_;
  const std::shared_ptr<const std::vector<SourceRule>> rules_;
  const std::shared_ptr<const HostQuestion> question_;
  const std::stop_token stop_;
  const Done done_;
  // One source at a time, so one thread at a time.
  size_t next_ = 0;
  bool could_not_tell_ = false;
  bool module_missing_ = false;
  bool said_no_ = false;
};

namespace {

// Those that nsswitch.conf names now.
std::vector<std::string> ModulesOf(const HostDatabaseOptions& options) {
  std::vector<std::string> modules;
  const std::optional<FileContent> content = ReadConfigFile(options.nsswitch_path);
  for (SourceRule& rule : ParseHostSources(content ? content->text : "")) {
    if (rule.source != "files" && rule.source != "dns") modules.push_back(std::move(rule.source));
  }
  return modules;
}

}  // namespace

serving::ServiceNeeds HostNeeds(const HostDatabaseOptions& options) {
  serving::ServiceNeeds needs = {
      .reads = {options.hosts_path, options.nsswitch_path, options.resolv_conf_path},
      .tcp = true,  // after truncation
      .tcp_ports = {53},
      .udp = true,  // name servers; and the order of answers, which sends nothing
      // Name servers with ports of their own.
      .as_opened =
          [path = options.resolv_conf_path](const auto& /*limits*/, const auto& /*settings*/) {
            serving::ServiceReach reach;
            const std::optional<FileContent> content = ReadConfigFile(path);
            const ResolvConf conf = ResolvConf::Parse(content ? content->text : "", "");
            for (const NameServer& server : conf.servers) reach.tcp_ports.push_back(server.port);
            return reach;
          },
  };
  if (!ModulesOf(options).empty()) {
    // libnss_resolve, libnss_mymachines, libnss_mdns4; libnss_myhostname.
    needs.local_sockets = {"/run/systemd/resolve/io.systemd.Resolve",
                           "/run/systemd/machine/io.systemd.Machine", "/run/avahi-daemon/socket",
                           "/var/run/avahi-daemon/socket"};
    needs.routes = true;
  }
  return needs;
}

void LoadHostModules(const HostDatabaseOptions& options) {
  for (const std::string& module : ModulesOf(options)) {
    (void)NssModule::Load(module, options.module_folder);
  }
}

HostDatabase::HostDatabase(HostDatabaseOptions options)
    : options_(std::move(options)),
      rules_(options_.nsswitch_path, &ParseHostSources),
      files_(std::make_unique<FilesSource>(options_.hosts_path)),
      dns_(options_.resolv_conf_path) {
  for (const SourceRule& rule : *rules_.Get()) FindSource(rule.source);
}

HostDatabase::~HostDatabase() {
  // The threads of modules may ask name servers, and the thread of name servers
  // modules, so the ones stop while the others are still there.
  module_threads_.Stop();
}

void HostDatabase::Ask(HostQuestion question, std::stop_token stop, Done done) {
  if (!question.address.has_value() && IsLocalhost(question.name.text)) {
    HostAnswer answer = LoopbackAnswer(question);
    if (answer.outcome == SourceOutcome::kSuccess) return done(std::move(answer));
    return done(absl::NotFoundError("no address of the family"));
  }
  if (lookups() >= options_.max_lookups) {
    return done(absl::ResourceExhaustedError("too many lookups at the same time"));
  }
  question.give_up = absl::Now() + options_.timeout;
  std::make_shared<Lookup>(this, rules_.Get(),
                           std::make_shared<const HostQuestion>(std::move(question)),
                           std::move(stop), std::move(done))
      ->AskNext();
}

HostSource* HostDatabase::FindSource(const std::string& name) {
  if (name == "files") return files_.get();
  if (name == "dns") return &dns_;
  absl::MutexLock lock(&mutex_);
  auto found = modules_.find(name);
  if (found == modules_.end()) {
    std::shared_ptr<const NssModule> module = NssModule::Load(name, options_.module_folder);
    std::unique_ptr<ModuleSource> source;
    if (module != nullptr) {
      source = std::make_unique<ModuleSource>(std::move(module), &module_threads_);
    }
    found = modules_.emplace(name, std::move(source)).first;
  }
  return found->second.get();
}

}  // namespace capbroker::hosts
