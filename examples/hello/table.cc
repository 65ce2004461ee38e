#include "examples/hello/table.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace capbroker::hello {
namespace {

// Without what a terminal obeys: control characters, also those of ISO 6429 that
// UTF-8 writes in two bytes.
std::string Plain(absl::string_view text) {
  std::string plain;
  for (size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    const bool c1 =
        byte == 0xc2 && i + 1 < text.size() && static_cast<unsigned char>(text[i + 1]) < 0xa0;
    if (byte < 0x20 || byte == 0x7f || c1) {
      absl::StrAppendFormat(&plain, "\\x%02x", byte);
    } else {
      plain += text[i];
    }
  }
  return plain;
}

}  // namespace

Table::Table() : colours_(isatty(STDOUT_FILENO) != 0 && std::getenv("NO_COLOR") == nullptr) {}

std::string Table::Coloured(Tone tone, absl::string_view text) const {
  if (!colours_) return std::string(text);
  return absl::StrCat(tone == Tone::kGood ? "\033[32m" : "\033[1;31m", text, "\033[0m");
}

void Table::Heading(absl::string_view title, absl::string_view about) const {
  const std::string shown = Plain(title);
  std::printf("\n%s%s%s  %s\n", colours_ ? "\033[1m" : "", shown.c_str(), colours_ ? "\033[0m" : "",
              Plain(about).c_str());
}

void Table::Row(Tone tone, absl::string_view outcome, absl::string_view what,
                absl::string_view how) const {
  // Padded before it is coloured: escape sequences have no width.
  std::string padded(outcome);
  padded.resize(std::max<size_t>(padded.size(), 9), ' ');
  std::printf("  %s %-36s %s\n", Coloured(tone, padded).c_str(), Plain(what).c_str(),
              Plain(how).c_str());
}

}  // namespace capbroker::hello
