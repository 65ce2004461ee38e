// The client view over a stub that calls the service in this process and delivers
// descriptors as a lane does.
#include "services/file/file_client.h"

#include <sys/stat.h>

#include <cstdio>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status_matchers.h"
#include "capbroker/file/v1/file_opener.fake.h"
#include "services/file/file_limits.h"
#include "services/file/file_opener_fixture.h"
#include "serving/call.h"
#include "serving/fake_call.h"
#include "transport/call_descriptors.h"
#include "transport/grpc_status.h"

namespace capbroker::file {
namespace {

using ::capbroker::testing::StatusIs;

class FileClientTest : public FileOpenerFixture {
 protected:
  void SetUp() override {
    MakeDirectory("data");
    MakeFile("data/page", "hello");
    MakeSymlink("page", "data/link");
    limits_ = Compile(LimitsForDirectory(Path("data"), DirectoryUse::kReadAndWrite));
    Connect(stub_.on_Open, &FileOpenerService::Open);
    Connect(stub_.on_OpenMany, &FileOpenerService::OpenMany);
    Connect(stub_.on_Read, &FileOpenerService::Read);
    Connect(stub_.on_Write, &FileOpenerService::Write);
    Connect(stub_.on_Create, &FileOpenerService::Create);
    Connect(stub_.on_Stat, &FileOpenerService::Stat);
    Connect(stub_.on_ReadLink, &FileOpenerService::ReadLink);
    Connect(stub_.on_RealPath, &FileOpenerService::RealPath);
    Connect(stub_.on_ListDirectoryPage, &FileOpenerService::ListDirectoryPage);
    Connect(stub_.on_OpenDirectory, &FileOpenerService::OpenDirectory);
  }

  template <typename Function, typename Request, typename Response>
  void Connect(Function& function,
               grpc::Status (FileOpenerService::*handler)(grpc::ServerContext*, const Request*,
                                                          Response*)) {
    function = [this, handler](grpc::ClientContext* context, const Request& request,
                               Response* response) {
      deadline_ = context->deadline();
      serving::FakeCall call(limits_);
      grpc::ServerContext server_context;
      const serving::CallScope scope(&server_context, &call);
      grpc::Status status = (service_.*handler)(&server_context, &request, response);
      if (CallDescriptors* const descriptors = CallDescriptors::Of(context)) {
        descriptors->SetReceived(std::move(call.sent));
      }
      return status;
    };
  }

  std::shared_ptr<const authority::Limits> limits_;
  FileOpenerService service_;
  v1::FileOpenerFake stub_;
  std::chrono::system_clock::time_point deadline_;
};

TEST_F(FileClientTest, OpensForReading) {
  const Files files(stub_);
  ASSERT_OK_AND_ASSIGN(UniqueFd file, files.OpenForReading(Path("data/page")));
  EXPECT_EQ(ReadAll(std::move(file)), "hello");
  EXPECT_THAT(files.OpenForReading(Path("data/absent")), StatusIs(absl::StatusCode::kNotFound));
}

TEST_F(FileClientTest, TellsAbsentFromFailed) {
  const Files files(stub_);
  ASSERT_OK_AND_ASSIGN(const auto there, files.TryOpenForReading(Path("data/page")));
  EXPECT_TRUE(there.has_value());
  ASSERT_OK_AND_ASSIGN(const auto absent, files.TryOpenForReading(Path("data/absent")));
  EXPECT_FALSE(absent.has_value());
  EXPECT_THAT(files.TryOpenForReading(Path("data")), StatusIs(absl::StatusCode::kPermissionDenied));
}

TEST_F(FileClientTest, OpensManyWithAResultForEach) {
  ASSERT_OK_AND_ASSIGN(auto results, Files(stub_).OpenManyForReading(
                                         {Path("data/absent"), Path("data/page"), Path("data")}));
  ASSERT_EQ(results.size(), 3u);
  EXPECT_THAT(results[0], StatusIs(absl::StatusCode::kNotFound));
  ASSERT_OK(results[1]);
  EXPECT_EQ(ReadAll(*std::move(results[1])), "hello");
  EXPECT_THAT(results[2], StatusIs(absl::StatusCode::kPermissionDenied));
  const auto denial = DenialOf(results[2].status());
  ASSERT_TRUE(denial.has_value());
  EXPECT_EQ(denial->field(), "kinds");
}

TEST_F(FileClientTest, CreatesAndAsks) {
  const Files files(stub_);
  ASSERT_OK(files.Create(Path("data/new"), v1::ACCESS_WRITE, 0600));
  EXPECT_THAT(files.Create(Path("data/new"), v1::ACCESS_WRITE, 0600),
              StatusIs(absl::StatusCode::kAlreadyExists));
  ASSERT_OK_AND_ASSIGN(const v1::FileStatus status, files.Stat(Path("data/link")));
  EXPECT_EQ(status.size(), 5u);
  ASSERT_OK_AND_ASSIGN(const v1::FileStatus link, files.StatSymlink(Path("data/link")));
  EXPECT_EQ(link.kind(), v1::FILE_KIND_SYMLINK);
  ASSERT_OK_AND_ASSIGN(const std::string target, files.ReadLink(Path("data/link")));
  EXPECT_EQ(target, "page");
  ASSERT_OK_AND_ASSIGN(const std::string real, files.RealPath(Path("data/link")));
  EXPECT_EQ(real, Path("data/page"));
}

TEST_F(FileClientTest, ListsInPagesWithoutStream) {
  for (int i = 1000; i < 2500; ++i) MakeFile(absl::StrCat("data/", i), "");
  ASSERT_OK_AND_ASSIGN(const auto entries, Files(stub_).List(Path("data")));
  ASSERT_EQ(entries.size(), 1502u);
  EXPECT_EQ(entries.front().name(), "1000");
  EXPECT_EQ(entries[1500].name(), "link");
  EXPECT_EQ(entries[1500].kind(), v1::FILE_KIND_SYMLINK);
  EXPECT_EQ(entries.back().name(), "page");
  EXPECT_THAT(Files(stub_).List(Path("data"), 1501),
              StatusIs(absl::StatusCode::kResourceExhausted));
  ASSERT_OK(Files(stub_).List(Path("data"), 1502));
  EXPECT_THAT(Files(stub_).List(Path("data/page")),
              StatusIs(absl::StatusCode::kFailedPrecondition));
  ASSERT_OK_AND_ASSIGN(const auto page, Files(stub_).ListPage(Path("data"), "2498", 2));
  ASSERT_EQ(page.entries_size(), 2);
  EXPECT_EQ(page.entries(1).name(), "link");
  EXPECT_TRUE(page.more());
}

TEST_F(FileClientTest, ListingEndsWhateverTheServiceSays) {
  int pages = 0;
  stub_.on_ListDirectoryPage = [&pages](auto*, const auto&, auto* response) {
    response->add_entries()->set_name("same");
    response->set_more(true);
    ++pages;
    return grpc::Status::OK;
  };
  EXPECT_THAT(Files(stub_).List(Path("data")), StatusIs(absl::StatusCode::kInternal));
  EXPECT_EQ(pages, 2);
  stub_.on_ListDirectoryPage = [](auto*, const auto&, auto* response) {
    response->set_more(true);
    return grpc::Status::OK;
  };
  EXPECT_THAT(Files(stub_).List(Path("data")), StatusIs(absl::StatusCode::kInternal));
}

// Of more than fits into a message.
TEST_F(FileClientTest, ReadsAndWritesContentInPieces) {
  limits_ = Compile(LimitsForRevocableWriting({Path("data/page")}, 1 << 20));
  const Files files(stub_);
  std::string content;
  for (int i = 0; content.size() < 300'000; ++i) absl::StrAppend(&content, i, " ");
  ASSERT_OK(files.WriteAt(Path("data/page"), 2, content));
  ASSERT_OK(files.Append(Path("data/page"), content));
  ASSERT_OK_AND_ASSIGN(const std::string all, files.ReadAll(Path("data/page")));
  EXPECT_TRUE(all == absl::StrCat("he", content, content));
  ASSERT_OK(files.ReadAll(Path("data/page"), all.size()));
  EXPECT_THAT(files.ReadAll(Path("data/page"), all.size() - 1),
              StatusIs(absl::StatusCode::kResourceExhausted));
  ASSERT_OK_AND_ASSIGN(const v1::ReadResponse piece, files.ReadAt(Path("data/page"), 2, 3));
  EXPECT_EQ(piece.content(), "0 1");
}

TEST_F(FileClientTest, ReadsNotTheBeginningOfOneFileAndTheEndOfAnother) {
  limits_ = Compile(LimitsForRevocableDirectory(Path("data")));
  MakeFile("data/long", std::string(200'000, 'a'));
  MakeFile("data/other", std::string(200'000, 'b'));
  const auto read = stub_.on_Read;
  int pieces = 0;
  stub_.on_Read = [&](grpc::ClientContext* context, const v1::ReadRequest& request,
                      v1::ReadResponse* response) {
    if (pieces++ == 1) rename(Path("data/other").c_str(), Path("data/long").c_str());
    return read(context, request, response);
  };
  EXPECT_THAT(Files(stub_).ReadAll(Path("data/long")), StatusIs(absl::StatusCode::kUnavailable));
  ASSERT_OK_AND_ASSIGN(const std::string other, Files(stub_).ReadAll(Path("data/long")));
  EXPECT_TRUE(other == std::string(200'000, 'b'));
}

TEST_F(FileClientTest, ReadingEndsWhateverTheServiceSays) {
  stub_.on_Read = [](auto*, const auto&, auto*) { return grpc::Status::OK; };
  EXPECT_THAT(Files(stub_).ReadAll(Path("data/page")), StatusIs(absl::StatusCode::kInternal));
}

TEST_F(FileClientTest, ATimeoutIsTheCallsDeadline) {
  const auto before = std::chrono::system_clock::now();
  ASSERT_OK(Files(stub_, absl::Seconds(7)).Stat(Path("data/page")));
  EXPECT_GE(deadline_, before + std::chrono::seconds(7));
  EXPECT_LE(deadline_, std::chrono::system_clock::now() + std::chrono::seconds(7));
  ASSERT_OK(Files(stub_).Stat(Path("data/page")));
  EXPECT_GT(deadline_, before + std::chrono::hours(10'000));
}

}  // namespace
}  // namespace capbroker::file
