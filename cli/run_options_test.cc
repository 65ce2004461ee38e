#include "cli/run_options.h"

#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

#include "base/status_matchers.h"
#include "gtest/gtest.h"

namespace capbroker::cli {
namespace {

std::string Error(const std::vector<std::string>& arguments) {
  return std::string(ParseRunOptions(arguments).status().message());
}

TEST(RunOptionsTest, TakesOptionsUpToTheProgram) {
  ASSERT_OK_AND_ASSIGN(
      const RunOptions options,
      ParseRunOptions({"--grant", "file:read:/a:b", "--grant=file:write:c", "--env", "X=1",
                       "--explain", "--bound=cpu-seconds=3", "cat", "--grant", "-x"}));
  EXPECT_EQ(options.program, "cat");
  EXPECT_EQ(options.arguments, (std::vector<std::string>{"--grant", "-x"}));
  EXPECT_TRUE(options.explain);
  EXPECT_EQ(options.policy.ShortDebugString(),
            "read: \"/a:b\" write: \"c\" environment: \"X=1\" bounds { cpu_time_seconds: 3 }");
}

TEST(RunOptionsTest, TakesServersAsTheyAreWritten) {
  ASSERT_OK_AND_ASSIGN(const RunOptions options,
                       ParseRunOptions({"--grant=listen:127.0.0.1:8080", "--grant=listen:[::1]:0",
                                        "--grant=listen:*:*", "true"}));
  EXPECT_EQ(options.policy.ShortDebugString(),
            "listen: \"127.0.0.1:8080\" listen: \"[::1]:0\" listen: \"*:*\"");
}

TEST(RunOptionsTest, TakesAnyNameBehindTwoDashes) {
  ASSERT_OK_AND_ASSIGN(const RunOptions options, ParseRunOptions({"--", "--odd", "--", "x"}));
  EXPECT_EQ(options.program, "--odd");
  EXPECT_EQ(options.arguments, (std::vector<std::string>{"--", "x"}));
}

TEST(RunOptionsTest, AddsThePoliciesOfFiles) {
  const std::string path = std::string(std::getenv("TEST_TMPDIR")) + "/policy";
  std::ofstream(path) << "read: 'a'\nrefusal: NO_ACCESS\n";
  ASSERT_OK_AND_ASSIGN(const RunOptions options, ParseRunOptions({"--grant=file:read:b", "--policy",
                                                                  path, "--policy", path, "true"}));
  EXPECT_EQ(options.policy.ShortDebugString(),
            "read: \"b\" read: \"a\" read: \"a\" refusal: NO_ACCESS");
  std::ofstream(path) << "read: 'a'\nreed: 'b'\n";
  EXPECT_EQ(Error({"--policy", path, "true"}).find("--policy " + path + ":2:"), 0u)
      << Error({"--policy", path, "true"});
  EXPECT_EQ(Error({"--policy", "/none", "true"}), "--policy /none: No such file or directory");
}

TEST(RunOptionsTest, SaysWhatIsWrong) {
  EXPECT_EQ(Error({}), "no program");
  EXPECT_EQ(Error({"--explain"}), "no program");
  EXPECT_EQ(Error({"--grant"}), "--grant: no such option, or no value");
  EXPECT_EQ(Error({"--nonsense", "x", "y"}), "--nonsense: no such option");
  for (const char* grant : {"file:read:", "file:reads:/x", "/x", "exec:", "listen:8080",
                            "listen:x:", "listen::1", "listen:x:http", "listen:x:65536"}) {
    EXPECT_EQ(Error({"--grant", grant, "true"}).find(std::string("--grant ") + grant + ": "), 0u);
  }
  for (const char* bound :
       {"cpu-seconds", "cpu-seconds=0", "cpu-seconds=-1", "x=1", "threads=1k"}) {
    EXPECT_EQ(Error({"--bound", bound, "true"}).find(std::string("--bound ") + bound + ": "), 0u);
  }
  EXPECT_EQ(Error({"--refuse", "me", "true"}), "--refuse me: none of absent, access, capability");
}

}  // namespace
}  // namespace capbroker::cli
