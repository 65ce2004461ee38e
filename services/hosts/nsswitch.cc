#include "services/hosts/nsswitch.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace capbroker::hosts {
namespace {

// A module's name becomes part of a file name.
bool IsSourceName(absl::string_view name) {
  return !name.empty() && name.size() <= 64 && std::all_of(name.begin(), name.end(), [](char c) {
    return absl::ascii_isalnum(c) || c == '_' || c == '-';
  });
}

// "NOTFOUND=return" or "!UNAVAIL=return".
void ApplyAction(absl::string_view criterion, SourceRule& rule) {
  constexpr std::pair<absl::string_view, SourceOutcome> kStatuses[] = {
      {"success", SourceOutcome::kSuccess},
      {"notfound", SourceOutcome::kNotFound},
      {"unavail", SourceOutcome::kUnavailable},
      {"tryagain", SourceOutcome::kTryAgain},
  };
  const std::pair<absl::string_view, absl::string_view> sides =
      absl::StrSplit(criterion, absl::MaxSplits('=', 1));
  absl::string_view status = sides.first;
  const bool others = absl::ConsumePrefix(&status, "!");
  // "merge" means nothing for hosts; the first answer is kept.
  const bool final = !absl::EqualsIgnoreCase(sides.second, "continue");
  for (const auto& [name, outcome] : kStatuses) {
    if (absl::EqualsIgnoreCase(status, name) != others) {
      rule.final[static_cast<size_t>(outcome)] = final;
    }
  }
}

std::vector<SourceRule> ParseSources(absl::string_view line) {
  std::vector<SourceRule> rules;
  while (!(line = absl::StripLeadingAsciiWhitespace(line)).empty()) {
    if (absl::ConsumePrefix(&line, "[")) {
      const size_t end = line.find(']');
      const absl::string_view actions = line.substr(0, end);
      for (absl::string_view action :
           absl::StrSplit(actions, absl::ByAnyChar(" \t"), absl::SkipEmpty())) {
        if (!rules.empty()) ApplyAction(action, rules.back());
      }
      line = end == absl::string_view::npos ? absl::string_view() : line.substr(end + 1);
      continue;
    }
    const absl::string_view name = line.substr(0, line.find_first_of(" \t\r["));
    line.remove_prefix(name.size());
    if (IsSourceName(name) && rules.size() < kMaxSources) {
      rules.push_back({.source = std::string(name)});
    }
  }
  return rules;
}

}  // namespace

std::vector<SourceRule> ParseHostSources(absl::string_view text) {
  std::vector<SourceRule> rules;
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    line = absl::StripAsciiWhitespace(line.substr(0, line.find('#')));
    if (absl::ConsumePrefix(&line, "hosts:")) rules = ParseSources(line);
  }
  if (rules.empty()) rules = ParseSources("files dns");
  return rules;
}

}  // namespace capbroker::hosts
