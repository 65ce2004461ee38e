// A table for a terminal. Lives in: the application.
#ifndef EXAMPLES_HELLO_TABLE_H_
#define EXAMPLES_HELLO_TABLE_H_

#include <string>

#include "absl/strings/string_view.h"

namespace capbroker::hello {

enum class Tone { kGood, kBad };

// Prints to standard output; with colours if that is a terminal and NO_COLOR is not set.
class Table {
 public:
  Table();
  // A line of its own, above the rows about `title`.
  void Heading(absl::string_view title, absl::string_view about) const;
  // Text from workers is escaped: a terminal obeys what it is shown.
  void Row(Tone tone, absl::string_view outcome, absl::string_view what,
           absl::string_view how) const;

 private:
  std::string Coloured(Tone tone, absl::string_view text) const;
  const bool colours_;
};

}  // namespace capbroker::hello

#endif  // EXAMPLES_HELLO_TABLE_H_
