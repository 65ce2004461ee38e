// Stat, ReadLink, RealPath and OpenDirectory: what is told without opening.
#include <sys/stat.h>
#include <unistd.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "services/file/file_opener_fixture.h"

namespace capbroker::file {
namespace {

using ::grpc::StatusCode;
using ::testing::ElementsAre;

class FileOpenerLookTest : public FileOpenerFixture {
 protected:
  void SetUp() override {
    MakeDirectory("data");
    MakeDirectory("data/sub");
    MakeFile("data/sub/page", "hello", 0640);
    MakeSymlink("sub", "data/link");
    limits_ = Everything("data/");
  }
  v1::FileOpenerLimits limits_;
};

TEST_F(FileOpenerLookTest, StatTellsAboutAnyKindOfObject) {
  const auto file = Stat(limits_, "data/link/page");
  ASSERT_THAT(file, Succeeds());
  EXPECT_EQ(file.response.status().kind(), v1::FILE_KIND_REGULAR);
  EXPECT_EQ(file.response.status().size(), 5u);
  EXPECT_EQ(file.response.status().mode(), 0640u);
  EXPECT_EQ(file.response.status().owner(), getuid());
  EXPECT_EQ(file.response.status().links(), 1u);
  EXPECT_GT(file.response.status().modified().seconds(), 0);
  ASSERT_EQ(mkfifo(Path("data/fifo").c_str(), 0600), 0);
  EXPECT_EQ(Stat(limits_, "data/fifo").response.status().kind(), v1::FILE_KIND_FIFO);
  EXPECT_EQ(Stat(limits_, "data").response.status().kind(), v1::FILE_KIND_DIRECTORY);
  EXPECT_THAT(Stat(limits_, "data/absent"), HasCode(StatusCode::NOT_FOUND));
}

TEST_F(FileOpenerLookTest, StatFollowsAFinalSymlinkUnlessAskedNotTo) {
  EXPECT_EQ(Stat(limits_, "data/link").response.status().kind(), v1::FILE_KIND_DIRECTORY);
  const auto link = Stat(limits_, "data/link", /*no_follow=*/true);
  ASSERT_THAT(link, Succeeds());
  EXPECT_EQ(link.response.status().kind(), v1::FILE_KIND_SYMLINK);
  // Of a symlink that leads out, only itself is told.
  MakeSymlink("/etc", "data/out");
  EXPECT_THAT(Stat(limits_, "data/out"), IsRefusedByObject("paths"));
  EXPECT_EQ(Stat(limits_, "data/out", true).response.status().kind(), v1::FILE_KIND_SYMLINK);
}

TEST_F(FileOpenerLookTest, EachMethodNeedsItsOperation) {
  limits_.clear_operations();
  limits_.add_operations(v1::OPERATION_OPEN);
  EXPECT_THAT(Stat(limits_, "data/link"), IsRefusedByName("operations"));
  EXPECT_THAT(ReadLink(limits_, "data/link"), IsRefusedByName("operations"));
  EXPECT_THAT(RealPath(limits_, "data/link"), IsRefusedByName("operations"));
  EXPECT_THAT(OpenDirectory(limits_, "data/sub"), IsRefusedByName("operations"));
}

TEST_F(FileOpenerLookTest, ReadLinkGivesTheTextOfASymlink) {
  EXPECT_EQ(ReadLink(limits_, "data/link").response.target(), "sub");
  EXPECT_THAT(ReadLink(limits_, "data/sub"), HasCode(StatusCode::FAILED_PRECONDITION));
  const std::string longest(4095, 'a');
  MakeSymlink(longest, "data/long");
  EXPECT_EQ(ReadLink(limits_, "data/long").response.target(), longest);
}

TEST_F(FileOpenerLookTest, RealPathHasNoSymlinksBeneathTheGrant) {
  MakeSymlink("../link/page", "data/sub/winding");
  EXPECT_EQ(RealPath(limits_, "data/link/page").response.path(), Path("data/sub/page"));
  EXPECT_EQ(RealPath(limits_, "data/link/winding").response.path(), Path("data/sub/page"));
  EXPECT_EQ(RealPath(limits_, "data/sub").response.path(), Path("data/sub"));
  EXPECT_EQ(RealPath(limits_, "data").response.path(), Path("data"));
  EXPECT_THAT(RealPath(limits_, "data/absent"), HasCode(StatusCode::NOT_FOUND));
}

TEST_F(FileOpenerLookTest, RealPathKeepsTheNameOfTheGrant) {
  MakeSymlink("data", "name");
  const v1::FileOpenerLimits named = Everything("name/");
  EXPECT_EQ(RealPath(named, "name/link/page").response.path(), Path("name/sub/page"));
  EXPECT_EQ(RealPath(Everything("name/sub/page"), "name/sub/page").response.path(),
            Path("name/sub/page"));
  EXPECT_EQ(RealPath(Everything("/"), Path("data/link/page")).response.path(),
            Path("data/sub/page"));
}

TEST_F(FileOpenerLookTest, RealPathKnowsAFileThatOnlyLooksDeleted) {
  MakeFile("data/page (deleted)", "x");
  EXPECT_EQ(RealPath(limits_, "data/page (deleted)").response.path(), Path("data/page (deleted)"));
}

TEST_F(FileOpenerLookTest, OpenDirectoryGivesAChannelForThatDirectoryAlone) {
  auto answer = OpenDirectory(limits_, "data/link");
  ASSERT_THAT(answer, Succeeds());
  EXPECT_EQ(answer.response.path(), Path("data/sub"));
  ASSERT_EQ(answer.call->channels.size(), 1u);
  v1::FileOpenerLimits narrowed;
  narrowed.CopyFrom(*answer.call->channels[0]);
  EXPECT_THAT(narrowed.paths(), ElementsAre(Path("data/sub/")));
  EXPECT_EQ(narrowed.accesses_size(), limits_.accesses_size());
  EXPECT_THAT(Open(narrowed, "data/sub/page"), Succeeds());
  EXPECT_THAT(Open(narrowed, "data/link/page"), IsRefusedByName("paths"));
  // Nothing of it is more than there was.
  EXPECT_TRUE(WithoutEffect(*Compile(narrowed), *Compile(limits_)).empty());
}

TEST_F(FileOpenerLookTest, OpenDirectoryOfTheRootIsTheRoot) {
  auto answer = OpenDirectory(Everything("/"), "/");
  ASSERT_THAT(answer, Succeeds());
  EXPECT_EQ(answer.response.path(), "/");
  EXPECT_EQ(dynamic_cast<v1::FileOpenerLimits&>(*answer.call->channels[0]).paths(0), "/");
}

TEST_F(FileOpenerLookTest, OpenDirectoryRefusesWhatIsNoGrantedDirectory) {
  EXPECT_THAT(OpenDirectory(limits_, "data/sub/page"), HasCode(StatusCode::FAILED_PRECONDITION));
  EXPECT_THAT(OpenDirectory(limits_, "data/absent"), HasCode(StatusCode::NOT_FOUND));
  // The directory itself is granted, but not what is in it.
  EXPECT_THAT(OpenDirectory(Everything("data"), "data"), IsRefusedByObject("paths"));
}

}  // namespace
}  // namespace capbroker::file
