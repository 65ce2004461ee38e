// From a run with everything logged to the least limits that it needed: what the audit file of a
// worker says, made into limits by `capbroker audit --learn`, allows the same run again and no
// more.
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <iterator>
#include <memory>
#include <optional>
#include <sstream>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/status_matchers.h"
#include "capbroker/file/v1/file_opener.capbroker.h"
#include "cli/audit_command.h"
#include "client/audit_file.h"
#include "client/broker.h"
#include "gmock/gmock.h"
#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"
#include "services/file/file_client.h"
#include "services/file/grants.h"

namespace capbroker {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

// Opens the input's first file, asks about its second, and lists its third, if there is one.
int UseFiles(Grants grants) {
  const auto stub = grants.Stub<file::v1::FileOpener>("files");
  const file::Files files(*stub, absl::Seconds(20));
  const std::vector<std::string> paths = absl::StrSplit(grants.input(), ' ');
  if (!files.OpenForReading(paths[0]).ok()) return 1;
  if (!files.Stat(paths[1]).ok()) return 2;
  return paths.size() == 2 || files.List(paths[2]).ok() ? 0 : 3;
}

class LearnTest : public ::testing::Test {
 protected:
  LearnTest() : folder_(absl::StrCat(::testing::TempDir(), "/learn.", getpid())) {
    // As limits have paths: without empty components.
    while (folder_.find("//") != std::string::npos) folder_.erase(folder_.find("//"), 1);
    mkdir(folder_.c_str(), 0755);
    for (const char* name : {"opened", "asked", "left"}) {
      std::ofstream(absl::StrCat(folder_, "/", name)) << "content";
    }
    input_ = absl::StrCat(folder_, "/opened ", folder_, "/asked");
    log_ = absl::StrCat(folder_, ".jsonl");
  }

  // The exit code of a run with that authority, whose audit is in log_.
  int Run(const Authority& authority, const AuditOptions& options) {
    unlink(log_.c_str());
    absl::StatusOr<Broker> broker = Broker::Start();
    EXPECT_OK(broker);
    absl::StatusOr<Audit> audit = broker->StartAudit(options);
    EXPECT_OK(audit);
    absl::StatusOr<std::unique_ptr<AuditFile>> file = AuditFile::Start(*std::move(audit), log_);
    EXPECT_OK(file);
    absl::StatusOr<Worker> worker =
        broker->Launch({.entry = UseFiles, .grants = {{"files", authority}}, .input = input_});
    EXPECT_OK(worker);
    return worker->Wait().exit_code();
  }

  std::string Tool(std::vector<std::string> arguments) {
    std::ostringstream out;
    std::ostringstream errors;
    arguments.push_back(log_);
    EXPECT_EQ(cli::RunAudit(arguments, out, errors), 0) << errors.str();
    return out.str();
  }

  std::string folder_;
  std::string input_;
  std::string log_;
};

TEST_F(LearnTest, LearnedLimitsAllowTheSameAgainAndNoMore) {
  ASSERT_EQ(Run(ReadOnlyDirectory(folder_), {.learn = true}), 0);
  const std::string learned = Tool({"--learn"});
  EXPECT_THAT(learned, HasSubstr("worker 1, grant \"files\": capbroker.file.v1.FileOpener"));
  EXPECT_THAT(learned, HasSubstr(absl::StrCat("paths: \"", folder_, "/opened\"")));
  EXPECT_THAT(learned, Not(HasSubstr("/left")));
  file::v1::FileOpenerLimits limits;
  ASSERT_TRUE(google::protobuf::TextFormat::ParseFromString(learned, &limits)) << learned;
  EXPECT_EQ(limits.max_size(), 7u) << "the size of what was opened";

  EXPECT_EQ(Run(OpenFiles(limits), {}), 0) << learned;
  EXPECT_EQ(Tool({"--denied"}), "");
  input_ = absl::StrCat(folder_, "/left ", folder_, "/asked");
  EXPECT_EQ(Run(OpenFiles(limits), {}), 1) << "another file";
  EXPECT_THAT(Tool({"--denied"}), HasSubstr("NOT_IN_LIMITS"));
}

TEST_F(LearnTest, DirectoryThatIsListedIsLearnedAsOne) {
  input_ += absl::StrCat(" ", folder_);
  ASSERT_EQ(Run(ReadOnlyDirectory(folder_), {.learn = true}), 0);
  const std::string learned = Tool({"--learn"});
  EXPECT_THAT(learned, HasSubstr(absl::StrCat("paths: \"", folder_, "/\"")));
  file::v1::FileOpenerLimits limits;
  ASSERT_TRUE(google::protobuf::TextFormat::ParseFromString(learned, &limits)) << learned;
  EXPECT_EQ(Run(OpenFiles(limits), {}), 0) << learned;
}

TEST_F(LearnTest, TableHasALineForEachEvent) {
  ASSERT_EQ(Run(ReadOnlyDirectory(folder_), {}), 0);
  const std::string table = Tool({});
  for (const char* kind : {"OPENED", "GRANTED", "STARTED", "ALLOWED", "DELIVERED", "EXITED"}) {
    EXPECT_THAT(table, HasSubstr(kind));
  }
  EXPECT_THAT(table, HasSubstr("worker 1 files"));
  EXPECT_EQ(Tool({"--worker=2"}), "");
}

TEST_F(LearnTest, ToolSaysWhatIsWrongWithAFile) {
  std::ofstream(log_) << "{\"kind\": \"OPENED\"}\nnonsense\n";
  std::ostringstream out;
  std::ostringstream errors;
  EXPECT_EQ(cli::RunAudit({log_}, out, errors), 1);
  EXPECT_THAT(errors.str(), HasSubstr(absl::StrCat(log_, ": line 2: not an audit event")));
  EXPECT_EQ(cli::RunAudit({absl::StrCat(log_, ".absent")}, out, errors), 1);
  EXPECT_THAT(errors.str(), HasSubstr("No such file"));
  EXPECT_EQ(cli::RunAudit({}, out, errors), 2);
  EXPECT_EQ(cli::RunAudit({"--what", log_}, out, errors), 2);
}

TEST_F(LearnTest, FileBeginsAnewAtItsBound) {
  ASSERT_OK_AND_ASSIGN(Broker broker, Broker::Start());
  ASSERT_OK_AND_ASSIGN(Audit audit, broker.StartAudit({.events_per_minute = 100'000}));
  constexpr uint64_t kMost = 20'000;
  {
    ASSERT_OK_AND_ASSIGN(const std::unique_ptr<AuditFile> file,
                         AuditFile::Start(std::move(audit), log_, {.max_bytes = kMost}));
    ASSERT_OK_AND_ASSIGN(const std::shared_ptr<Channel> channel,
                         broker.Open(ReadOnlyFile(folder_)));
    const auto stub = NewStub<file::v1::FileOpener>(channel);
    for (int i = 0; i < 300; ++i) (void)file::Files(*stub).Stat("/denied");
  }
  struct stat status = {};
  for (const std::string& path : {log_, absl::StrCat(log_, ".1")}) {
    ASSERT_EQ(stat(path.c_str(), &status), 0) << path;
    EXPECT_LE(static_cast<uint64_t>(status.st_size), kMost) << path;
    EXPECT_EQ(status.st_mode & 0777, 0600u);
  }
  EXPECT_THAT(Tool({}), HasSubstr("DENIED"));
}

TEST_F(LearnTest, FullDiskIsCountedAndEndsNothing) {
  ASSERT_OK_AND_ASSIGN(Broker broker, Broker::Start());
  ASSERT_OK_AND_ASSIGN(Audit audit, broker.StartAudit({}));
  ASSERT_OK_AND_ASSIGN(const std::unique_ptr<AuditFile> file,
                       AuditFile::Start(std::move(audit), "/dev/full"));
  ASSERT_OK_AND_ASSIGN(const std::shared_ptr<Channel> channel,
                       broker.Open(ReadOnlyFile("/etc/hosts")));
  const auto stub = NewStub<file::v1::FileOpener>(channel);
  for (int i = 0; i < 500 && !file->failing(); ++i) usleep(10'000);
  EXPECT_TRUE(file->failing());
  EXPECT_OK(file::Files(*stub).Stat("/etc/hosts"));
}

}  // namespace
}  // namespace capbroker
