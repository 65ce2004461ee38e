// docs/threat_model.md has a line for each attack, as it is, and for nothing else. Says which lines
// belong there otherwise.
#include <fstream>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "gtest/gtest.h"
#include "tests/hostile_worker/attack.h"

namespace capbroker::hostile {
namespace {

constexpr char kPage[] = "docs/threat_model.md";
constexpr char kHeading[] =
    "| attack | aims at | refused | executed | supervised | run | run, with processes | run, "
    "serving |";

std::string Text(const char* stated) { return stated == nullptr ? "" : stated; }

std::vector<std::string> Lines() {
  std::vector<std::string> lines = {kHeading, "| --- | --- | --- | --- | --- | --- | --- | --- |"};
  for (const Attack& attack : AllAttacks()) {
    lines.push_back(absl::StrCat(
        "| `", attack.name, "` | ", Text(attack.aims_at), " | ", Text(attack.refused), " | ",
        Text(attack.executed), " | ", Text(attack.supervised), " | ", Text(attack.run_alone), " | ",
        Text(attack.run_with_processes), " | ", Text(attack.run_serving), " |"));
  }
  return lines;
}

TEST(ThreatModelTest, ListsEveryAttackAsItIs) {
  std::ifstream page(kPage);
  std::vector<std::string> lines;
  bool in_table = false;
  for (std::string line; std::getline(page, line);) {
    in_table |= line == kHeading;
    if (in_table) lines.push_back(line);
  }
  EXPECT_TRUE(lines == Lines()) << "the table should be:\n" << absl::StrJoin(Lines(), "\n");
}

// "| 7 | subject | here | tested by |", where what is tested is an attack, a test's name, or a
// file's.
TEST(ThreatModelTest, SaysOfEveryPointOfHardeningWhatTestsIt) {
  std::ifstream page(kPage);
  int points = 0;
  for (std::string line; std::getline(page, line) && line != kHeading;) {
    const std::vector<std::string> columns = absl::StrSplit(line, " | ");
    if (columns.size() != 4 || columns[0] != absl::StrCat("| ", points + 1)) continue;
    ++points;
    const std::vector<std::string> parts = absl::StrSplit(columns[3], '`');
    EXPECT_GT(parts.size(), 2u) << line;
    for (size_t i = 1; i < parts.size(); i += 2) {
      const bool is_test = absl::EndsWith(parts[i], "_test") || absl::ascii_isupper(parts[i][0]);
      EXPECT_TRUE(is_test || FindAttack(parts[i]) != nullptr) << parts[i];
    }
  }
  EXPECT_EQ(points, 40);
}

}  // namespace
}  // namespace capbroker::hostile
