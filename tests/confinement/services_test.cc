// The services that come with capbroker, confined.
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status_matchers.h"
#include "broker/testing/descendants.h"
#include "capbroker/file/v1/file_opener.capbroker.h"
#include "capbroker/group/v1/group_database.capbroker.h"
#include "client/broker.h"
#include "gtest/gtest.h"
#include "services/file/file_client.h"
#include "services/file/file_limits.h"
#include "services/file/grants.h"
#include "services/group/grants.h"
#include "services/group/group_client.h"
#include "transport/stub.h"

namespace capbroker {
namespace {

using testing::Eventually;

class ConfinedServicesTest : public ::testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/confined_services_XXXXXX";
    ASSERT_NE(mkdtemp(name), nullptr);
    root_ = name;
    Put("a", "first");
    Put("b", "other");
    absl::StatusOr<Broker> broker = Broker::Start();
    ASSERT_OK(broker);
    broker_ = std::make_unique<Broker>(*std::move(broker));
  }
  void TearDown() override { (void)!system(("rm -rf " + root_).c_str()); }

  std::string Path(const std::string& name) const { return absl::StrCat(root_, "/", name); }
  // As an editor does: another file takes the name.
  void Put(const std::string& name, const std::string& content) const {
    std::ofstream(Path(".new")) << content;
    ASSERT_EQ(rename(Path(".new").c_str(), Path(name).c_str()), 0);
  }

  std::shared_ptr<Channel> Open(const Authority& authority) {
    absl::StatusOr<std::shared_ptr<Channel>> channel = broker_->Open(authority);
    EXPECT_OK(channel);
    return channel.value_or(nullptr);
  }

  // What is in it, or the code of the refusal.
  static std::string Read(const std::shared_ptr<Channel>& channel, const std::string& path) {
    const auto stub = NewStub<file::v1::FileOpener>(channel);
    const absl::StatusOr<UniqueFd> file =
        file::Files(*stub, absl::Seconds(20)).OpenForReading(path);
    if (!file.ok()) return absl::StatusCodeToString(file.status().code());
    char text[64] = {};
    return read(file->get(), text, sizeof text - 1) < 0 ? "unreadable" : text;
  }

  std::string root_;
  std::unique_ptr<Broker> broker_;
};

TEST_F(ConfinedServicesTest, FileThatIsReplacedIsFoundUnderItsName) {
  const std::shared_ptr<Channel> channel = Open(ReadOnlyFile(Path("a")));
  EXPECT_EQ(Read(channel, Path("a")), "first");
  Put("a", "second");
  std::vector<std::string> answers;
  EXPECT_TRUE(Eventually([&] {
    answers.push_back(Read(channel, Path("a")));
    return answers.back() == "second";
  }));
  for (const std::string& answer : answers) {
    EXPECT_TRUE(answer == "second" || answer == "UNAVAILABLE") << answer;
  }
}

TEST_F(ConfinedServicesTest, FileThatIsMadeLaterIsFound) {
  const std::shared_ptr<Channel> channel = Open(ReadOnlyFile(Path("later")));
  EXPECT_EQ(Read(channel, Path("later")), "NOT_FOUND");
  Put("later", "made");
  EXPECT_TRUE(Eventually([&] { return Read(channel, Path("later")) == "made"; }));
}

// INVARIANT(service-confined): each process of a family is confined alike, whatever was narrowed.
TEST_F(ConfinedServicesTest, SuccessorServesAClonesFilesWhenTheFirstChannelWasNarrowed) {
  const std::shared_ptr<Channel> first = Open(ReadOnlyFiles({Path("a"), Path("b")}));
  ASSERT_OK_AND_ASSIGN(const std::shared_ptr<Channel> clone, first->Clone());
  ASSERT_OK(first->Narrow(file::LimitsForReading({Path("a")})));
  ASSERT_OK_AND_ASSIGN(const v1::InspectResponse tree, broker_->Inspect());
  kill(tree.families(0).process(), SIGKILL);
  EXPECT_TRUE(Eventually([&] { return Read(first, Path("a")) == "first"; }));
  EXPECT_EQ(Read(first, Path("b")), "PERMISSION_DENIED");
  EXPECT_TRUE(Eventually([&] { return Read(clone, Path("b")) == "other"; }));
}

TEST_F(ConfinedServicesTest, FilesAreCreatedAndWritten) {
  const std::shared_ptr<Channel> channel = Open(ReadWriteDirectory(root_));
  const auto stub = NewStub<file::v1::FileOpener>(channel);
  const file::Files files(*stub, absl::Seconds(20));
  ASSERT_OK_AND_ASSIGN(const UniqueFd made,
                       files.Create(Path("made"), file::v1::ACCESS_WRITE, 0600));
  EXPECT_EQ(write(made.get(), "x", 1), 1);
  // The right to truncate came with the descriptor.
  EXPECT_EQ(ftruncate(made.get(), 0), 0);
}

TEST_F(ConfinedServicesTest, GroupsAreFound) {
  const std::shared_ptr<Channel> channel = Open(LookUpGroupByName("root"));
  const auto stub = NewStub<group::v1::GroupDatabase>(channel);
  ASSERT_OK_AND_ASSIGN(const group::v1::Group found, group::Groups(*stub).FindByName("root"));
  EXPECT_EQ(found.id(), 0u);
}

}  // namespace
}  // namespace capbroker
