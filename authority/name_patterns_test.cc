#include "authority/name_patterns.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace capbroker::authority {
namespace {

using ::capbroker::testing::StatusIs;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

NamePatterns Patterns(const std::vector<std::string>& patterns) {
  return NamePatterns::Make(patterns).value();
}

// What is not a name: for no pattern, in no request.
std::vector<std::string> NotNames() {
  return {"",
          ".",
          "..",
          "a..b",
          ".a",
          "a..",
          "a b",
          "a*",
          "*a",
          "a.*.b",
          "a/b",
          "a\\.b",
          "a\nb",
          "b\xc3\xbc"
          "cher.de",
          std::string("evil.com\0.example.org", 21),
          std::string(64, 'a'),
          std::string(64, 'a') + ".example.org",
          absl::StrCat(std::string(63, 'a'), ".", std::string(63, 'b'), ".", std::string(63, 'c'),
                       ".", std::string(62, 'd'))};
}

TEST(NamePatternsTest, EmptyAllowsNothing) {
  EXPECT_FALSE(NamePatterns().Matches("example.org"));
  EXPECT_FALSE(NamePatterns().Matches(""));
  EXPECT_TRUE(Patterns({}).empty());
}

TEST(NamePatternsTest, ANameAllowsItselfAlone) {
  const NamePatterns names = Patterns({"example.org"});
  EXPECT_TRUE(names.Matches("example.org"));
  EXPECT_FALSE(names.Matches("www.example.org"));
  EXPECT_FALSE(names.Matches("org"));
  EXPECT_FALSE(names.Matches("notexample.org"));
  EXPECT_FALSE(names.Matches("example.org.evil.com"));
}

TEST(NamePatternsTest, CaseAndOneFinalDotDoNotMatter) {
  const NamePatterns names = Patterns({"Example.ORG."});
  EXPECT_TRUE(names.Matches("eXAMPLE.org"));
  EXPECT_TRUE(names.Matches("example.org."));
  EXPECT_FALSE(names.Matches("example.org.."));
}

TEST(NamePatternsTest, ASubtreeAllowsWhatIsBelowButNotItsRoot) {
  const NamePatterns names = Patterns({"*.example.org"});
  EXPECT_TRUE(names.Matches("www.example.org"));
  EXPECT_TRUE(names.Matches("a.b.c.example.org."));
  EXPECT_FALSE(names.Matches("example.org"));
  EXPECT_FALSE(names.Matches("notexample.org"));
  EXPECT_FALSE(names.Matches("org"));
}

TEST(NamePatternsTest, StarAllowsEveryNameAndOnlyNames) {
  const NamePatterns names = Patterns({"*"});
  EXPECT_TRUE(names.Matches("a"));
  EXPECT_TRUE(names.Matches("192.0.2.1"));
  EXPECT_TRUE(names.Matches("fe80::1%eth0"));
  for (const std::string& text : NotNames()) EXPECT_FALSE(names.Matches(text)) << text;
}

TEST(NamePatternsTest, DeniesWhatIsNoNameBelowAGrantedSuffix) {
  const NamePatterns names = Patterns({"*.org", "*.b", "*.example.org", "*.de"});
  for (const std::string& text : NotNames()) EXPECT_FALSE(names.Matches(text)) << text;
}

TEST(NamePatternsTest, MalformedPatternsAreRefused) {
  std::vector<std::string> malformed = NotNames();
  malformed.insert(malformed.end(), {"*.", "**", "*.*", "*.*.a", "a.*", "*..a", "*.a..b"});
  // So long that no name is below it.
  malformed.push_back(absl::StrCat("*.", std::string(63, 'a'), ".", std::string(63, 'b'), ".",
                                   std::string(63, 'c'), ".", std::string(60, 'd')));
  for (const std::string& pattern : malformed) {
    EXPECT_THAT(NamePatterns::Make({pattern}), StatusIs(absl::StatusCode::kInvalidArgument))
        << pattern;
  }
}

TEST(NamePatternsTest, HasOneCanonicalForm) {
  EXPECT_THAT(Patterns({"b.org", "B.org.", "a.org"}).Entries(), ElementsAre("a.org", "b.org"));
  EXPECT_THAT(Patterns({"a.b.c", "*.b.c", "*.c", "c", "d"}).Entries(),
              ElementsAre("*.c", "c", "d"));
  EXPECT_THAT(Patterns({"a.org", "*", "*.b"}).Entries(), ElementsAre("*"));
}

TEST(NamePatternsTest, MeetIsWhatBothAllow) {
  EXPECT_THAT(Meet(Patterns({"*.org"}), Patterns({"a.org", "org", "*.b.org", "c.com"})).Entries(),
              ElementsAre("*.b.org", "a.org"));
  EXPECT_THAT(Meet(Patterns({"*.org"}), Patterns({"*"})).Entries(), ElementsAre("*.org"));
  EXPECT_THAT(Meet(Patterns({"*.org"}), Patterns({"*.org"})).Entries(), ElementsAre("*.org"));
  EXPECT_THAT(Meet(Patterns({"*.a.org"}), Patterns({"*.b.org", "a.org"})).Entries(), IsEmpty());
}

TEST(NamePatternsTest, ANameOfManyLabelsIsMatchedAtEveryDepth) {
  std::string name = "a";
  while (name.size() + 2 <= kMaxNameBytes) name = "a." + name;
  EXPECT_TRUE(Patterns({"*.a"}).Matches(name));
  EXPECT_TRUE(Patterns({"*." + name.substr(2)}).Matches(name));
  EXPECT_FALSE(Patterns({"*." + name.substr(2)}).Matches(name.substr(2)));
  EXPECT_FALSE(Patterns({"*.b"}).Matches(name));
}

}  // namespace
}  // namespace capbroker::authority
