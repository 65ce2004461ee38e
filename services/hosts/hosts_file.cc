#include "services/hosts/hosts_file.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_split.h"
#include "services/hosts/host_name.h"

namespace capbroker::hosts {

HostsFile HostsFile::Parse(absl::string_view text) {
  HostsFile file;
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    line = line.substr(0, line.find('#'));
    const std::vector<absl::string_view> words =
        absl::StrSplit(line, absl::ByAnyChar(" \t\r\f\v"), absl::SkipEmpty());
    if (words.size() < 2) continue;
    const std::optional<IpAddress> address = IpAddress::Parse(words[0]);
    if (!address.has_value()) continue;
    Line parsed = {.address = *address, .names = {}};
    for (size_t i = 1; i < words.size(); ++i) {
      if (IsHostName(words[i])) parsed.names.emplace_back(words[i]);
    }
    if (parsed.names.empty()) continue;
    const size_t index = file.lines_.size();
    for (const std::string& name : parsed.names) {
      std::vector<size_t>& lines = file.by_name_[CanonicalName(name)];
      if (lines.empty() || lines.back() != index) lines.push_back(index);
    }
    file.by_address_[address->packed()].push_back(index);
    file.lines_.push_back(std::move(parsed));
  }
  return file;
}

HostsFile::Entry HostsFile::Find(absl::string_view name, bool v4, bool v6) const {
  Entry entry;
  const auto found = by_name_.find(name);
  if (found == by_name_.end()) return entry;
  for (size_t index : found->second) {
    const Line& line = lines_[index];
    if (!(line.address.is_v4() ? v4 : v6)) continue;
    if (entry.addresses.empty()) entry.canonical_name = line.names.front();
    entry.addresses.push_back(line.address);
  }
  return entry;
}

std::vector<std::string> HostsFile::NamesOf(const IpAddress& address) const {
  std::vector<std::string> names;
  std::vector<std::string> aliases;
  const auto found = by_address_.find(address.packed());
  if (found == by_address_.end()) return names;
  for (size_t index : found->second) {
    const std::vector<std::string>& all = lines_[index].names;
    names.push_back(all.front());
    aliases.insert(aliases.end(), all.begin() + 1, all.end());
    if (names.size() >= kMaxNamesOfAddress) break;
  }
  names.insert(names.end(), aliases.begin(), aliases.end());
  names.resize(std::min(names.size(), kMaxNamesOfAddress));
  return names;
}

}  // namespace capbroker::hosts
