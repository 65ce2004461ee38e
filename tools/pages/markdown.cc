#include "tools/pages/markdown.h"

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace capbroker::tools {
namespace {

// In the style of the protos: what a method needs, how it fails, what bounds it.
constexpr absl::string_view kBeginParagraph[] = {"Authority:", "Errors:", "Limits:"};

}  // namespace

std::string Code(const std::string& text) {
  return text.empty() ? "–" : absl::StrCat("`", text, "`");
}

std::string TableHead(const std::vector<std::string>& titles) {
  const std::vector<std::string> dashes(titles.size(), "---");
  return absl::StrCat(TableRow(titles), "| ", absl::StrJoin(dashes, " | "), " |\n");
}

std::string TableRow(const std::vector<std::string>& cells) {
  std::vector<std::string> harmless;
  for (const std::string& cell : cells) {
    harmless.push_back(absl::StrReplaceAll(cell, {{"|", "\\|"}, {"\n", " "}}));
  }
  return absl::StrCat("| ", absl::StrJoin(harmless, " | "), " |\n");
}

std::string Paragraphs(const google::protobuf::SourceLocation& location) {
  const std::string& comment =
      location.leading_comments.empty() ? location.trailing_comments : location.leading_comments;
  std::string text;
  for (absl::string_view line : absl::StrSplit(comment, '\n')) {
    absl::ConsumePrefix(&line, " ");
    line = absl::StripTrailingAsciiWhitespace(line);
    for (const absl::string_view start : kBeginParagraph) {
      if (absl::StartsWith(line, start) && !text.empty()) text += "\n";
    }
    absl::StrAppend(&text, absl::StrReplaceAll(line, {{"&", "&amp;"}, {"<", "&lt;"}}), "\n");
  }
  return std::string(absl::StripAsciiWhitespace(text));
}

std::string OneLine(const std::string& text) {
  return absl::StrJoin(absl::StrSplit(text, absl::ByAnyChar(" \n"), absl::SkipEmpty()), " ");
}

}  // namespace capbroker::tools
