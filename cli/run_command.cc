#include "cli/run_command.h"

#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iostream>
#include <optional>
#include <thread>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "cli/learned_policy.h"
#include "cli/passed_signals.h"
#include "cli/run_launch.h"
#include "cli/run_options.h"
#include "cli/run_report.h"
#include "client/broker.h"

namespace capbroker::cli {
namespace {

constexpr int kBadUsage = 2;
constexpr int kNotStarted = 125, kNotExecutable = 126, kNotFound = 127;

// In one piece: the program writes there, too.
void Say(absl::string_view text) { std::cerr << absl::StrCat("capbroker: ", text, "\n"); }

int Fail(int status, const absl::Status& why) {
  Say(why.message());
  return status;
}

// Reads the audit until its worker has ended, on a thread of its own.
class AuditReader {
 public:
  AuditReader(Audit audit, bool explain) : explain_(explain), audit_(std::move(audit)) {
    thread_ = std::thread([this] { Read(); });
  }
  // All that was recorded before the call has been read afterwards.
  void Finish() {
    ended_ = true;
    thread_.join();
  }
  const LearnedPolicy& learned() const { return learned_; }

 private:
  void Read() {
    while (true) {
      const bool last = ended_;
      const auto events = audit_.Next(last ? absl::ZeroDuration() : absl::Milliseconds(100));
      if (!events.ok() || (last && events->empty())) return;
      for (const v1::AuditEvent& event : *events) Take(event);
    }
  }
  void Take(const v1::AuditEvent& event) {
    learned_.Add(event);
    if (!explain_) return;
    if (const std::string line = Explain(event); !line.empty()) Say(line);
  }

  const bool explain_;
  Audit audit_;
  LearnedPolicy learned_;
  std::atomic<bool> ended_{false};
  std::thread thread_;
};

bool WriteFile(const std::string& path, const std::string& text) {
  std::ofstream file(path, std::ios::trunc);
  file << text;
  file.close();
  if (!file) Say(path + ": " + std::strerror(errno));
  return static_cast<bool>(file);
}

}  // namespace

int RunRun(const std::vector<std::string>& arguments) {
  if (arguments.size() == 1 && arguments[0] == "--help") {
    std::cout << "usage: " << kRunUsage;
    return 0;
  }
  absl::StatusOr<RunOptions> options = ParseRunOptions(arguments);
  if (!options.ok()) {
    std::cerr << "capbroker run: " << options.status().message() << "\nusage: " << kRunUsage;
    return kBadUsage;
  }
  absl::StatusOr<WorkerOptions> worker_options = ToWorkerOptions(*options);
  if (!worker_options.ok()) {
    const bool missing = worker_options.status().code() == absl::StatusCode::kNotFound;
    const bool refused = worker_options.status().code() == absl::StatusCode::kPermissionDenied;
    return Fail(missing   ? kNotFound
                : refused ? kNotExecutable
                          : kNotStarted,
                worker_options.status());
  }
  absl::StatusOr<Broker> broker = Broker::Start({.cgroups = {.beneath = options->cgroup}});
  if (!broker.ok()) return Fail(kNotStarted, broker.status());
  PassedSignals signals;
  std::optional<AuditReader> audit;
  if (options->explain || !options->learn.empty()) {
    absl::StatusOr<Audit> started = broker->StartAudit(
        {.allowed_one_in = 0, .learn = !options->learn.empty(), .events_per_minute = 100'000});
    if (!started.ok()) return Fail(kNotStarted, started.status());
    audit.emplace(*std::move(started), options->explain);
  }
  absl::StatusOr<Worker> worker = broker->Launch(*std::move(worker_options));
  if (!worker.ok()) {
    if (audit) audit->Finish();
    return Fail(kNotStarted, worker.status());
  }
  signals.PassTo(*worker);
  const WorkerEnd end = worker->Wait();
  if (audit) audit->Finish();
  if (const std::string line = ExplainEnd(end); !line.empty()) Say(line);
  if (!options->learn.empty() &&
      !WriteFile(options->learn, audit->learned().ToText(options->policy))) {
    return kNotStarted;
  }
  return end.exit_code();
}

}  // namespace capbroker::cli
