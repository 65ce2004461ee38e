#include "examples/hello/subject.h"

#include <cstdlib>

#include "base/status_matchers.h"

namespace capbroker::hello {
namespace {

using ::capbroker::testing::StatusIs;

TEST(SubjectTest, NameWithoutASlashIsAHost) {
  ASSERT_OK_AND_ASSIGN(const Subject subject, ParseSubject("example.org"));
  EXPECT_EQ(subject.kind, Subject::Kind::kHost);
  EXPECT_EQ(subject.name, "example.org");
}

TEST(SubjectTest, RelativePathIsTheCallers) {
  setenv("BUILD_WORKING_DIRECTORY", "/a/b", 1);
  ASSERT_OK_AND_ASSIGN(const Subject subject, ParseSubject("./c/../d"));
  EXPECT_EQ(subject.kind, Subject::Kind::kFile);
  EXPECT_EQ(subject.name, "/a/b/d");
  EXPECT_FALSE(subject.group.has_value());
}

TEST(SubjectTest, FileUrlIsAPath) {
  ASSERT_OK_AND_ASSIGN(const Subject subject, ParseSubject("file:///etc/passwd"));
  EXPECT_EQ(subject.name, "/etc/passwd");
  EXPECT_TRUE(subject.group.has_value());
}

TEST(SubjectTest, RefusesWhatIsNeither) {
  for (const char* argument : {"", "a b", "file://host/x", "/etc/", "x\033[2J"}) {
    EXPECT_THAT(ParseSubject(argument), StatusIs(absl::StatusCode::kInvalidArgument)) << argument;
  }
}

}  // namespace
}  // namespace capbroker::hello
