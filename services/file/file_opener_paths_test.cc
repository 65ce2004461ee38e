// The service as workers reach it, on the lane and on the wire: what makes a
// difference there.
#include <sys/stat.h>
#include <unistd.h>

#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/status_matchers.h"
#include "base/unique_fd.h"
#include "capbroker/file/v1/file_opener.capbroker.h"
#include "capbroker/file/v1/file_opener.dispatch.h"
#include "services/file/file_client.h"
#include "services/file/file_limits.h"
#include "services/file/file_opener.h"
#include "services/file/file_opener_fixture.h"
#include "tests/conformance/local_family.h"
#include "transport/channel.h"
#include "transport/stub.h"

namespace capbroker::file {
namespace {

using ::capbroker::testing::LocalFamily;
using ::capbroker::testing::StatusIs;

class FileOpenerPathsTest : public FileOpenerFixture {
 protected:
  void SetUp() override {
    MakeDirectory("data");
    family_ = std::make_unique<LocalFamily>(
        v1::CapbrokerMakeDispatch(std::make_unique<FileOpenerService>()),
        LimitsForDirectory(Path("data"), DirectoryUse::kReadAndWrite));
    channel_ = std::make_shared<Channel>(family_->TakeLane());
    lane_ = NewStub<v1::FileOpener>(channel_);
  }
  v1::FileOpener::StubInterface& Wire() {
    wire_ = v1::FileOpener::NewStub(channel_->GrpcOrFailing());
    return *wire_;
  }
  struct timespec LastChange() const {
    struct stat status = {};
    EXPECT_EQ(stat(Path("data").c_str(), &status), 0);
    return status.st_mtim;
  }

  std::unique_ptr<LocalFamily> family_;
  std::shared_ptr<Channel> channel_;
  std::unique_ptr<v1::FileOpener::StubInterface> lane_;
  std::unique_ptr<v1::FileOpener::StubInterface> wire_;
};

TEST_F(FileOpenerPathsTest, CreatesOnTheLane) {
  ASSERT_OK_AND_ASSIGN(const UniqueFd file,
                       Files(*lane_).Create(Path("data/new"), v1::ACCESS_WRITE, 0600));
  EXPECT_EQ(write(file.get(), "x", 1), 1);
  EXPECT_EQ(access(Path("data/new").c_str(), F_OK), 0);
}

TEST_F(FileOpenerPathsTest, CreatesNothingOnTheWireWhichCarriesNoDescriptors) {
  const struct timespec before = LastChange();
  EXPECT_THAT(Files(Wire()).Create(Path("data/new"), v1::ACCESS_WRITE, 0600),
              StatusIs(absl::StatusCode::kFailedPrecondition));
  EXPECT_NE(access(Path("data/new").c_str(), F_OK), 0);
  const struct timespec after = LastChange();
  EXPECT_EQ(before.tv_sec, after.tv_sec);
  EXPECT_EQ(before.tv_nsec, after.tv_nsec) << "not for a moment either";
  // The limits are asked first, as everywhere.
  EXPECT_THAT(Files(*wire_).Create(Path("new"), v1::ACCESS_WRITE, 0600),
              StatusIs(absl::StatusCode::kPermissionDenied));
}

TEST_F(FileOpenerPathsTest, ListsTheSameOnLaneAndWireAndByStream) {
  const std::string long_name(240, 'x');  // so that a page is too large for one packet
  for (int i = 1000; i < 1700; ++i) MakeFile(absl::StrCat("data/", i, long_name), "");
  ASSERT_OK_AND_ASSIGN(const auto on_lane, Files(*lane_).List(Path("data")));
  EXPECT_EQ(on_lane.size(), 700u);
  ASSERT_OK_AND_ASSIGN(const auto on_wire, Files(Wire()).List(Path("data")));
  EXPECT_EQ(on_wire.size(), 700u);
  ASSERT_OK_AND_ASSIGN(const auto by_stream, Files(*lane_).ListByStream(Path("data")));
  EXPECT_EQ(by_stream.size(), 700u);
  for (const Files& files : {Files(*lane_), Files(*wire_)}) {
    EXPECT_THAT(files.List(Path("")), StatusIs(absl::StatusCode::kPermissionDenied));
    EXPECT_THAT(files.List(Path("data/absent")), StatusIs(absl::StatusCode::kNotFound));
  }
}

}  // namespace
}  // namespace capbroker::file
