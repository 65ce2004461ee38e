#include "cli/audit_command.h"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <iostream>
#include <optional>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "cli/audit_table.h"
#include "cli/learned_limits.h"
#include "client/audit_json.h"

namespace capbroker::cli {
namespace {

using v1::AuditEvent;

struct Options {
  std::optional<uint64_t> worker;
  bool denied = false;
  bool learn = false;
  std::vector<std::string> files;
};

std::optional<Options> Parse(const std::vector<std::string>& arguments) {
  Options options;
  bool only_files = false;
  for (const std::string& argument : arguments) {
    absl::string_view value = argument;
    uint64_t worker = 0;
    if (only_files || argument == "-" || !absl::StartsWith(argument, "-")) {
      options.files.push_back(argument);
    } else if (argument == "--") {
      only_files = true;
    } else if (argument == "--denied") {
      options.denied = true;
    } else if (argument == "--learn") {
      options.learn = true;
    } else if (absl::ConsumePrefix(&value, "--worker=") && absl::SimpleAtoi(value, &worker)) {
      options.worker = worker;
    } else {
      return std::nullopt;
    }
  }
  if (options.files.empty() || (options.denied && options.learn)) return std::nullopt;
  return options;
}

bool Shown(const Options& options, const AuditEvent& event) {
  if (options.worker && event.worker() != *options.worker) return false;
  if (!options.denied) return event.kind() != AuditEvent::LEARNED;
  switch (event.kind()) {
    case AuditEvent::DENIED:
    case AuditEvent::REVOKED:
    case AuditEvent::SHUT_DOWN:
    case AuditEvent::NOT_TAKEN_BACK:
    case AuditEvent::VIOLATION:
    case AuditEvent::CRASHED:
    case AuditEvent::LEFT_OUT:
      return true;
    default:
      return false;
  }
}

absl::Status ReadEvents(std::istream& in, const Options& options, LearnedLimits& learned,
                        std::ostream& out) {
  std::string line;
  for (int number = 1; std::getline(in, line); ++number) {
    if (line.empty()) continue;
    const absl::StatusOr<AuditEvent> event = FromJsonLine(line);
    if (!event.ok()) {
      return absl::InvalidArgumentError(
          absl::StrCat("line ", number, ": ", event.status().message()));
    }
    if (!options.learn) {
      if (Shown(options, *event)) out << TableLine(*event) << "\n";
    } else if (!options.worker || event->worker() == *options.worker) {
      learned.Add(*event);
    }
  }
  return in.bad() ? absl::UnavailableError("it cannot be read") : absl::OkStatus();
}

}  // namespace

int RunAudit(const std::vector<std::string>& arguments, std::ostream& out, std::ostream& errors) {
  const std::optional<Options> options = Parse(arguments);
  if (!options) {
    errors << "usage: " << kAuditUsage;
    return 2;
  }
  LearnedLimits learned;
  for (const std::string& name : options->files) {
    std::ifstream file;
    if (name != "-") {
      errno = 0;
      file.open(name);
      if (!file) {
        errors << "capbroker audit: " << name << ": " << std::strerror(errno) << "\n";
        return 1;
      }
    }
    const absl::Status read = ReadEvents(name == "-" ? std::cin : file, *options, learned, out);
    if (!read.ok()) {
      errors << "capbroker audit: " << name << ": " << read.message() << "\n";
      return 1;
    }
  }
  if (options->learn) out << learned.ToText();
  return 0;
}

}  // namespace capbroker::cli
