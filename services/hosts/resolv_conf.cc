#include "services/hosts/resolv_conf.h"

#include <algorithm>
#include <optional>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "services/hosts/host_name.h"

namespace capbroker::hosts {
namespace {

// The largest values that glibc takes.
constexpr int kMaxNdots = 15;
constexpr int kMaxTimeoutSeconds = 30;
constexpr int kMaxAttempts = 5;

std::optional<NameServer> ParseServer(absl::string_view text) {
  NameServer server;
  if (absl::ConsumePrefix(&text, "[")) {
    const size_t end = text.find("]:");
    int port = 0;
    if (end == absl::string_view::npos || !absl::SimpleAtoi(text.substr(end + 2), &port) ||
        port <= 0 || port > 65535) {
      return std::nullopt;
    }
    server.port = static_cast<uint16_t>(port);
    text = text.substr(0, end);
  }
  const std::optional<IpAddress> address = IpAddress::Parse(text);
  if (!address.has_value()) return std::nullopt;
  server.address = *address;
  return server;
}

void ParseOption(absl::string_view option, ResolvConf& conf) {
  const auto number = [option](absl::string_view name, int least, int most) -> std::optional<int> {
    absl::string_view digits = option;
    int value = 0;
    if (!absl::ConsumePrefix(&digits, name) || !absl::SimpleAtoi(digits, &value) || value < least) {
      return std::nullopt;
    }
    return std::min(value, most);
  };
  if (auto ndots = number("ndots:", 0, kMaxNdots)) {
    conf.ndots = *ndots;
  } else if (auto seconds = number("timeout:", 1, kMaxTimeoutSeconds)) {
    conf.timeout = absl::Seconds(*seconds);
  } else if (auto attempts = number("attempts:", 1, kMaxAttempts)) {
    conf.attempts = *attempts;
  } else if (option == "rotate") {
    conf.rotate = true;
  } else if (option == "use-vc") {
    conf.tcp_only = true;
  } else if (option == "no-aaaa") {
    conf.no_aaaa = true;
  }
}

void AddSearchDomain(absl::string_view domain, ResolvConf& conf) {
  if (conf.search.size() < kMaxSearchDomains && IsHostName(domain)) {
    conf.search.push_back(CanonicalName(domain));
  }
}

}  // namespace

ResolvConf ResolvConf::Parse(absl::string_view text, absl::string_view host_name) {
  ResolvConf conf;
  bool names_domains = false;
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    if (absl::StartsWith(line, "#") || absl::StartsWith(line, ";")) continue;
    const std::vector<absl::string_view> words =
        absl::StrSplit(line, absl::ByAnyChar(" \t\r"), absl::SkipEmpty());
    if (words.size() < 2) continue;
    if (words[0] == "nameserver") {
      const std::optional<NameServer> server = ParseServer(words[1]);
      if (server.has_value() && conf.servers.size() < kMaxNameServers) {
        conf.servers.push_back(*server);
      }
    } else if (words[0] == "search" || words[0] == "domain") {
      // The last such line counts; "domain" has one name.
      names_domains = true;
      conf.search.clear();
      const size_t end = words[0] == "domain" ? 2 : words.size();
      for (size_t i = 1; i < end; ++i) AddSearchDomain(words[i], conf);
    } else if (words[0] == "options") {
      for (size_t i = 1; i < words.size(); ++i) ParseOption(words[i], conf);
    }
  }
  if (const size_t dot = host_name.find('.'); !names_domains && dot != absl::string_view::npos) {
    AddSearchDomain(host_name.substr(dot + 1), conf);
  }
  if (conf.servers.empty()) conf.servers.push_back({.address = *IpAddress::Parse("127.0.0.1")});
  return conf;
}

std::vector<std::string> ResolvConf::Candidates(absl::string_view name, bool absolute) const {
  if (absolute) return {std::string(name)};
  std::vector<std::string> candidates;
  const bool as_it_is_first = std::count(name.begin(), name.end(), '.') >= ndots;
  if (as_it_is_first) candidates.emplace_back(name);
  for (const std::string& domain : search) {
    if (name.size() + 1 + domain.size() > kMaxHostNameBytes) continue;
    candidates.push_back(absl::StrCat(name, ".", domain));
  }
  if (!as_it_is_first) candidates.emplace_back(name);
  return candidates;
}

}  // namespace capbroker::hosts
