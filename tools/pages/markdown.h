// Pieces of Markdown. Runs at build time.
#ifndef TOOLS_PAGES_MARKDOWN_H_
#define TOOLS_PAGES_MARKDOWN_H_

#include <string>
#include <vector>

#include "google/protobuf/descriptor.h"

namespace capbroker::tools {

// "`text`", or "–" for nothing.
std::string Code(const std::string& text);

// Lines of a table; a cell's own line ends and bars are made harmless.
std::string TableHead(const std::vector<std::string>& titles);
std::string TableRow(const std::vector<std::string>& cells);

// The comment before an element, or else behind it, as paragraphs: "Authority:", "Errors:" and
// "Limits:" begin one of their own.
template <typename Element>
std::string CommentOf(const Element& element);
// The same on one line.
template <typename Element>
std::string CommentLineOf(const Element& element);

std::string Paragraphs(const google::protobuf::SourceLocation& location);
std::string OneLine(const std::string& text);

template <typename Element>
std::string CommentOf(const Element& element) {
  google::protobuf::SourceLocation location;
  return element.GetSourceLocation(&location) ? Paragraphs(location) : "";
}

template <typename Element>
std::string CommentLineOf(const Element& element) {
  return OneLine(CommentOf(element));
}

}  // namespace capbroker::tools

#endif  // TOOLS_PAGES_MARKDOWN_H_
