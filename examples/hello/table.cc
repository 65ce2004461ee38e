#include "examples/hello/table.h"

#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace capbroker::hello {

Table::Table() : colours_(isatty(STDOUT_FILENO) != 0 && std::getenv("NO_COLOR") == nullptr) {}

std::string Table::Coloured(Tone tone, absl::string_view text) const {
  if (!colours_) return std::string(text);
  return absl::StrCat(tone == Tone::kGood ? "\033[32m" : "\033[1;31m", text, "\033[0m");
}

void Table::Heading(absl::string_view title, absl::string_view about) const {
  const std::string shown = absl::Utf8SafeCHexEscape(title);
  std::printf("\n%s%s%s  %s\n", colours_ ? "\033[1m" : "", shown.c_str(),
              colours_ ? "\033[0m" : "", absl::Utf8SafeCHexEscape(about).c_str());
}

void Table::Row(Tone tone, absl::string_view outcome, absl::string_view what,
                absl::string_view how) const {
  // Padded before it is coloured: escape sequences have no width.
  std::string padded(outcome);
  padded.resize(std::max<size_t>(padded.size(), 9), ' ');
  std::printf("  %s %-36s %s\n", Coloured(tone, padded).c_str(),
              absl::Utf8SafeCHexEscape(what).c_str(), absl::Utf8SafeCHexEscape(how).c_str());
}

}  // namespace capbroker::hello
