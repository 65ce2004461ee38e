#include "services/hosts/host_name.h"

#include <cstdint>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace capbroker::hosts {
namespace {

bool IsNameByte(char c) { return absl::ascii_isalnum(c) || c == '-' || c == '_'; }

// Whether an inet_aton(3) would read `label` as a number: decimal and octal are
// digits, hexadecimal is "0x" and any number of hexadecimal digits.
bool IsNumber(absl::string_view label) {
  const bool hexadecimal = absl::StartsWithIgnoreCase(label, "0x");
  if (hexadecimal) label.remove_prefix(2);
  for (char c : label) {
    if (hexadecimal ? !absl::ascii_isxdigit(c) : !absl::ascii_isdigit(c)) return false;
  }
  return true;
}

bool IsOrIsBelow(absl::string_view name, absl::string_view parent) {
  if (!absl::EndsWith(name, parent)) return false;
  name.remove_suffix(parent.size());
  return name.empty() || name.back() == '.';
}

}  // namespace

// TRUST(worker): `text` is what a request holds.
absl::StatusOr<HostName> ParseHostName(absl::string_view text) {
  HostName name;
  if (absl::EndsWith(text, ".")) {
    name.absolute = true;
    text.remove_suffix(1);
  }
  if (text.empty()) return absl::InvalidArgumentError("an empty name");
  if (text.size() > kMaxHostNameBytes) return absl::InvalidArgumentError("longer than a name");
  absl::string_view label;
  for (size_t begin = 0; begin <= text.size(); begin += label.size() + 1) {
    label = text.substr(begin, text.find('.', begin) - begin);
    if (label.empty()) return absl::InvalidArgumentError("an empty label");
    if (label.size() > kMaxLabelBytes) return absl::InvalidArgumentError("a label is too long");
    // What starts with "-" is an option to whoever passes it on to a command.
    if (label.front() == '-') return absl::InvalidArgumentError("a label starts with \"-\"");
    for (char c : label) {
      if (!IsNameByte(c)) return absl::InvalidArgumentError("a character that no name has");
    }
  }
  if (IsNumber(label)) {
    return absl::InvalidArgumentError("neither a name nor an address in its usual form");
  }
  // Letter case is no place for the caller to write to name servers and modules in.
  name.text = absl::AsciiStrToLower(text);
  return name;
}

bool IsHostName(absl::string_view name) { return ParseHostName(name).ok(); }

std::string CanonicalName(absl::string_view name) {
  if (absl::EndsWith(name, ".")) name.remove_suffix(1);
  return absl::AsciiStrToLower(name);
}

bool IsLocalhost(absl::string_view name) { return IsOrIsBelow(name, "localhost"); }

bool IsNeverInDns(absl::string_view name) {
  return IsOrIsBelow(name, "invalid") || IsOrIsBelow(name, "onion");
}

std::string ReverseName(const IpAddress& address) {
  const IpAddress unmapped = address.Unmapped();
  const absl::string_view bytes = unmapped.packed();
  std::string name;
  for (auto byte = bytes.rbegin(); byte != bytes.rend(); ++byte) {
    const uint8_t value = static_cast<uint8_t>(*byte);
    if (bytes.size() == 4) {
      absl::StrAppend(&name, value, ".");
    } else {
      absl::StrAppend(&name, absl::Hex(value & 0xf), ".", absl::Hex(value >> 4), ".");
    }
  }
  return absl::StrCat(name, bytes.size() == 4 ? "in-addr.arpa" : "ip6.arpa");
}

}  // namespace capbroker::hosts
