#include "services/dns/services_file.h"

#include <cstddef>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"

namespace capbroker::dns {

ServicesFile ServicesFile::Parse(absl::string_view text) {
  ServicesFile file;
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    line = line.substr(0, line.find('#'));
    const std::vector<absl::string_view> words =
        absl::StrSplit(line, absl::ByAnyChar(" \t\r"), absl::SkipEmpty());
    if (words.size() < 2) continue;
    const std::pair<absl::string_view, absl::string_view> sides =
        absl::StrSplit(words[1], absl::MaxSplits('/', 1));
    int port = 0;
    if (!absl::SimpleAtoi(sides.first, &port) || port < 0 || port > 65535) continue;
    if (sides.second != "tcp" && sides.second != "udp") continue;
    auto& ports = sides.second == "tcp" ? file.tcp_ : file.udp_;
    for (size_t i = 0; i < words.size(); ++i) {
      if (i != 1) ports.try_emplace(words[i], static_cast<uint16_t>(port));
    }
  }
  return file;
}

std::optional<uint16_t> ServicesFile::Find(absl::string_view service) const {
  for (const auto* ports : {&tcp_, &udp_}) {
    if (const auto found = ports->find(service); found != ports->end()) return found->second;
  }
  return std::nullopt;
}

}  // namespace capbroker::dns
