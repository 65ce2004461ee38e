#include "authority/text_set.h"

#include <algorithm>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace capbroker::authority {
namespace {

constexpr absl::string_view kEverything = "*";

// Whether `text` is how exactly one number is written.
bool IsDecimal(absl::string_view text) {
  if (text == "0") return true;
  if (!text.empty() && text.front() == '-') text.remove_prefix(1);
  return !text.empty() && text.front() != '0' &&
         std::all_of(text.begin(), text.end(), absl::ascii_isdigit);
}

}  // namespace

TextSet TextSet::Make(std::vector<std::string> values) {
  TextSet set;
  for (std::string& value : values) {
    if (value == kEverything) {
      set.everything_ = true;
      set.values_.clear();
      return set;
    }
    set.values_.insert(std::move(value));
  }
  return set;
}

absl::StatusOr<TextSet> TextSet::MakeDecimal(std::vector<std::string> values) {
  for (const std::string& value : values) {
    if (value != kEverything && !IsDecimal(value)) {
      return absl::InvalidArgumentError(
          absl::StrCat("\"", absl::CHexEscape(value.substr(0, 64)), "\" is not a decimal number"));
    }
  }
  return Make(std::move(values));
}

std::vector<std::string> TextSet::Entries() const {
  if (everything_) return {std::string(kEverything)};
  std::vector<std::string> entries(values_.begin(), values_.end());
  std::sort(entries.begin(), entries.end());
  return entries;
}

TextSet Meet(const TextSet& a, const TextSet& b) {
  if (a.everything_) return b;
  if (b.everything_) return a;
  const TextSet& smaller = a.values_.size() <= b.values_.size() ? a : b;
  const TextSet& larger = &smaller == &a ? b : a;
  TextSet meet;
  for (const std::string& value : smaller.values_) {
    if (larger.values_.contains(value)) meet.values_.insert(value);
  }
  return meet;
}

}  // namespace capbroker::authority
