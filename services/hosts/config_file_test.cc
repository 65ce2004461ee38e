#include "services/hosts/config_file.h"

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gtest/gtest.h"

namespace capbroker::hosts {
namespace {

class ConfigFileTest : public ::testing::Test {
 protected:
  ~ConfigFileTest() override { std::filesystem::remove(path_); }
  void Write(const std::string& text) { std::ofstream(path_) << text; }

  const std::string path_ = absl::StrCat(::testing::TempDir(), "/config_file_test.", getpid());
  int parsed_ = 0;
  ConfigFile<std::string> file_{path_, [this](absl::string_view text) {
                                  ++parsed_;
                                  return std::string(text);
                                }};
};

TEST_F(ConfigFileTest, SeesEveryChange) {
  EXPECT_EQ(*file_.Get(), "") << "absent is empty";
  for (int i = 0; i < 50; ++i) {
    // The same length, within the same tick of the clock.
    Write(absl::StrCat(1000 + i));
    EXPECT_EQ(*file_.Get(), absl::StrCat(1000 + i));
  }
  std::filesystem::remove(path_);
  EXPECT_EQ(*file_.Get(), "");
}

TEST_F(ConfigFileTest, ReadsFileThatDoesNotChangeOnce) {
  Write("text");
  absl::SleepFor(absl::Milliseconds(100));
  for (int i = 0; i < 10; ++i) EXPECT_EQ(*file_.Get(), "text");
  EXPECT_EQ(parsed_, 1);
}

// File systems that count time coarsely give two changes of a moment the same stamp.
TEST_F(ConfigFileTest, DoesNotTrustTheStampOfFileThatHasJustChanged) {
  Write("text");
  EXPECT_FALSE(ReadConfigFile(path_)->settled);
  absl::SleepFor(absl::Milliseconds(100));
  EXPECT_TRUE(ReadConfigFile(path_)->settled);
}

TEST_F(ConfigFileTest, KeepsWhatItReadWhenTheFileCannotBeReadAnyMore) {
  Write("text");
  EXPECT_EQ(*file_.Get(), "text");
  std::filesystem::remove(path_);
  std::filesystem::create_directory(path_);  // unreadable, also for root
  EXPECT_EQ(*file_.Get(), "text");
}

TEST_F(ConfigFileTest, DoesNotWaitForWriterOfFifo) {
  ASSERT_EQ(mkfifo(path_.c_str(), 0600), 0);
  EXPECT_EQ(*file_.Get(), "");
}

}  // namespace
}  // namespace capbroker::hosts
