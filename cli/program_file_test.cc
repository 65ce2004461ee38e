#include "cli/program_file.h"

#include <sys/stat.h>

#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

#include "base/status_matchers.h"
#include "gtest/gtest.h"

namespace capbroker::cli {
namespace {

class ProgramFileTest : public ::testing::Test {
 protected:
  std::string Make(const std::string& name, const std::string& content, mode_t mode) {
    const std::string path = directory_ + "/" + name;
    std::ofstream(path) << content;
    EXPECT_EQ(chmod(path.c_str(), mode), 0);
    return path;
  }
  const std::string directory_ = std::getenv("TEST_TMPDIR");
};

TEST_F(ProgramFileTest, IsSearchedForInThePath) {
  const std::string path = directory_ + ":/usr/bin";
  ASSERT_OK_AND_ASSIGN(const ProgramFile found, FindProgram("true", path.c_str()));
  EXPECT_EQ(found.path, "/usr/bin/true");
  Make("true", "", 0644);
  ASSERT_OK_AND_ASSIGN(const ProgramFile again, FindProgram("true", path.c_str()));
  EXPECT_EQ(again.path, "/usr/bin/true") << "what is no program is passed over";
  EXPECT_EQ(FindProgram("no-such", path.c_str()).status().code(), absl::StatusCode::kNotFound);
}

TEST_F(ProgramFileTest, WithASlashIsThatFile) {
  EXPECT_EQ(FindProgram("/none", nullptr).status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(FindProgram(Make("data", "x", 0644), nullptr).status().code(),
            absl::StatusCode::kPermissionDenied);
  EXPECT_EQ(FindProgram("/usr", nullptr).status().code(), absl::StatusCode::kPermissionDenied);
}

TEST_F(ProgramFileTest, OfAScriptIsItsInterpreter) {
  const std::string script = Make("script", "#! /bin/sh -e  -u \necho\n", 0755);
  ASSERT_OK_AND_ASSIGN(const ProgramFile program, FindProgram(script, nullptr));
  EXPECT_EQ(program.path, "/bin/sh");
  EXPECT_EQ(program.arguments, (std::vector<std::string>{"-e  -u", script})) << "as the kernel";
  EXPECT_EQ(program.script, script);
  EXPECT_EQ(FindProgram(Make("bad", "#!/none\n", 0755), nullptr).status().code(),
            absl::StatusCode::kNotFound);
}

TEST(AbsolutePathTest, IsInNormalForm) {
  EXPECT_EQ(AbsolutePath("a/./b//c/", "/srv"), "/srv/a/b/c");
  EXPECT_EQ(AbsolutePath("../x", "/srv"), "/x");
  EXPECT_EQ(AbsolutePath("/../..", "/srv"), "/");
  EXPECT_EQ(AbsolutePath(".", "/srv"), "/srv");
}

}  // namespace
}  // namespace capbroker::cli
