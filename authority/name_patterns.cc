#include "authority/name_patterns.h"

#include <algorithm>
#include <array>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace capbroker::authority {
namespace {

constexpr absl::string_view kEverything = "*";
constexpr absl::string_view kBelowPrefix = "*.";

// What a byte of a name is in lower case; 0 for bytes that no name has.
constexpr std::array<char, 256> MakeNameBytes() {
  std::array<char, 256> bytes = {};
  for (char c = 'a'; c <= 'z'; ++c) bytes[static_cast<unsigned char>(c)] = c;
  for (char c = 'A'; c <= 'Z'; ++c) {
    bytes[static_cast<unsigned char>(c)] = static_cast<char>(c - 'A' + 'a');
  }
  for (char c = '0'; c <= '9'; ++c) bytes[static_cast<unsigned char>(c)] = c;
  for (char c : {'-', '_', ':', '%', '.'}) bytes[static_cast<unsigned char>(c)] = c;
  return bytes;
}
constexpr std::array<char, 256> kNameBytes = MakeNameBytes();

// A name in normal form, without an allocation.
class NormalizedName {
 public:
  // TRUST(worker): `name` is what a request holds.
  // Only what is written of the buffer is read.
  // NOLINTNEXTLINE(cppcoreguidelines-pro-type-member-init)
  explicit NormalizedName(absl::string_view name) {
    if (absl::EndsWith(name, ".")) name.remove_suffix(1);
    if (name.empty() || name.size() > kMaxNameBytes) return;
    size_t label = 0;
    for (size_t i = 0; i < name.size(); ++i) {
      const char c = kNameBytes[static_cast<unsigned char>(name[i])];
      if (c == 0) return;
      if (c != '.') {
        if (++label > kMaxLabelBytes) return;
      } else {
        if (label == 0) return;
        label = 0;
      }
      buffer_[i] = c;
    }
    if (label != 0) size_ = name.size();
  }
  // Empty when it is not a name.
  absl::string_view text() const { return absl::string_view(buffer_.data(), size_); }

 private:
  std::array<char, kMaxNameBytes> buffer_;  // bytes up to size_ are set
  size_t size_ = 0;
};

size_t CountLabels(absl::string_view name) {
  return static_cast<size_t>(std::count(name.begin(), name.end(), '.')) + 1;
}

absl::Status NotAPattern(absl::string_view pattern) {
  return absl::InvalidArgumentError(
      absl::StrCat("\"", absl::CHexEscape(pattern.substr(0, 64)), "\" is not a name pattern"));
}

}  // namespace

std::optional<std::string> NormalizeName(absl::string_view name) {
  const NormalizedName normalized(name);
  if (normalized.text().empty()) return std::nullopt;
  return std::string(normalized.text());
}

absl::StatusOr<NamePatterns> NamePatterns::Make(const std::vector<std::string>& patterns) {
  NamePatterns result;
  bool everything = false;
  for (const std::string& pattern : patterns) {
    if (pattern == kEverything) {
      everything = true;
      continue;
    }
    absl::string_view name = pattern;
    const Grant grant = absl::StartsWith(name, kBelowPrefix) ? kBelow : kItself;
    if (grant == kBelow) name.remove_prefix(kBelowPrefix.size());
    const NormalizedName normalized(name);
    // No name fits below one that leaves no room for a label and a dot.
    const size_t longest = grant == kBelow ? kMaxNameBytes - 2 : kMaxNameBytes;
    if (normalized.text().empty() || normalized.text().size() > longest) {
      return NotAPattern(pattern);
    }
    result.Insert(normalized.text(), grant);
  }
  if (everything) {
    result = NamePatterns();
    result.everything_ = true;
  }
  result.DropCovered();
  return result;
}

void NamePatterns::Insert(absl::string_view name, Grant grant) {
  entries_[name] |= grant;
  if (grant == kBelow) {
    depths_.set(CountLabels(name));
  } else {
    some_itself_ = true;
  }
}

bool NamePatterns::Matches(absl::string_view name) const {
  const NormalizedName normalized(name);
  return !normalized.text().empty() && Covers(normalized.text(), kItself);
}

bool NamePatterns::Covers(absl::string_view name, Grant grant) const {
  if (everything_) return true;
  // All below a name are covered by the same pattern, and by those of its ancestors;
  // the name itself by its own entry, and by those of its ancestors.
  if (grant == kBelow || some_itself_) {
    const auto entry = entries_.find(name);
    if (entry != entries_.end() && (entry->second & grant) != 0) return true;
  }
  if (depths_.none()) return false;
  size_t labels = 0;
  // Labels are not empty, so `dot` is never 0.
  for (size_t dot = name.rfind('.'); dot != absl::string_view::npos;
       dot = name.rfind('.', dot - 1)) {
    ++labels;
    if (!depths_.test(labels)) continue;
    auto entry = entries_.find(name.substr(dot + 1));
    if (entry != entries_.end() && (entry->second & kBelow) != 0) return true;
  }
  return false;
}

void NamePatterns::DropCovered() {
  NamePatterns kept;
  kept.everything_ = everything_;
  for (const auto& [name, grants] : entries_) {
    const size_t dot = name.find('.');
    for (Grant grant : {kItself, kBelow}) {
      if ((grants & grant) == 0) continue;
      // Covered by an ancestor: as all names below the parent are, or by the
      // parent's own "*.".
      const bool covered =
          dot != std::string::npos && Covers(absl::string_view(name).substr(dot + 1), kBelow);
      if (!covered) kept.Insert(name, grant);
    }
  }
  *this = std::move(kept);
}

std::vector<std::string> NamePatterns::Entries() const {
  if (everything_) return {std::string(kEverything)};
  std::vector<std::string> entries;
  for (const auto& [name, grants] : entries_) {
    if ((grants & kItself) != 0) entries.push_back(name);
    if ((grants & kBelow) != 0) entries.push_back(absl::StrCat(kBelowPrefix, name));
  }
  std::sort(entries.begin(), entries.end());
  return entries;
}

NamePatterns Meet(const NamePatterns& a, const NamePatterns& b) {
  if (a.everything_) return b;
  if (b.everything_) return a;
  // Two patterns are disjoint, or one contains the other: so the meet is what each
  // side has that the other covers.
  NamePatterns meet;
  for (const auto& [mine, theirs] : {std::pair(&a, &b), std::pair(&b, &a)}) {
    for (const auto& [name, grants] : mine->entries_) {
      for (NamePatterns::Grant grant : {NamePatterns::kItself, NamePatterns::kBelow}) {
        if ((grants & grant) != 0 && theirs->Covers(name, grant)) meet.Insert(name, grant);
      }
    }
  }
  return meet;
}

}  // namespace capbroker::authority
