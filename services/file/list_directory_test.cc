// ListDirectory, which streams, against a gRPC server of its own.
#include <grpcpp/grpcpp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <map>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/status_matchers.h"
#include "services/file/file_client.h"
#include "services/file/file_opener_fixture.h"

namespace capbroker::file {
namespace {

using ::capbroker::testing::StatusIs;

// Serves with the limits that the test has set.
class ListingService : public FileOpenerService {
 public:
  void SetLimits(const v1::FileOpenerLimits& limits) { limits_ = CompileLimits(limits); }

  grpc::Status ListDirectory(grpc::ServerContext* context, const v1::ListDirectoryRequest* request,
                             grpc::ServerWriter<v1::ListDirectoryResponse>* writer) override {
    serving::FakeCall call(limits_);
    const serving::CallScope scope(context, &call);
    return FileOpenerService::ListDirectory(context, request, writer);
  }

 private:
  std::shared_ptr<const authority::Limits> limits_;
};

class ListDirectoryTest : public FileOpenerFixture {
 protected:
  void SetUp() override {
    MakeDirectory("data");
    limits_ = Everything("data/");
    grpc::ServerBuilder builder;
    builder.RegisterService(&service_);
    server_ = builder.BuildAndStart();
    stub_ = v1::FileOpener::NewStub(server_->InProcessChannel({}));
    service_.SetLimits(limits_);
  }
  absl::StatusOr<std::map<std::string, v1::FileKind>> List(absl::string_view path,
                                                           size_t max_entries = 100'000) {
    const auto entries = Files(*stub_, absl::Seconds(20)).ListByStream(Path(path), max_entries);
    if (!entries.ok()) return entries.status();
    std::map<std::string, v1::FileKind> kinds;
    for (const auto& entry : *entries) {
      EXPECT_TRUE(kinds.emplace(entry.name(), entry.kind()).second) << "twice";
    }
    return kinds;
  }
  v1::FileOpenerLimits limits_;
  ListingService service_;
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<v1::FileOpener::Stub> stub_;
};

TEST_F(ListDirectoryTest, TellsNamesAndKindsOfAllEntries) {
  MakeFile("data/file", "");
  MakeFile("data/.hidden", "");
  MakeFile("data/\xff odd\n", "");
  MakeDirectory("data/sub");
  MakeSymlink("/etc", "data/link");
  ASSERT_EQ(mkfifo(Path("data/fifo").c_str(), 0600), 0);
  const std::map<std::string, v1::FileKind> expected = {
      {"file", v1::FILE_KIND_REGULAR},       {".hidden", v1::FILE_KIND_REGULAR},
      {"\xff odd\n", v1::FILE_KIND_REGULAR}, {"sub", v1::FILE_KIND_DIRECTORY},
      {"link", v1::FILE_KIND_SYMLINK},       {"fifo", v1::FILE_KIND_FIFO}};
  ASSERT_OK_AND_ASSIGN(const auto entries, List("data"));
  EXPECT_EQ(entries, expected);
  ASSERT_OK_AND_ASSIGN(const auto none, List("data/sub"));
  EXPECT_TRUE(none.empty());
}

TEST_F(ListDirectoryTest, TellsManyEntriesInBatches) {
  for (int i = 0; i < 1000; ++i) MakeFile(absl::StrCat("data/file", i), "");
  ASSERT_OK_AND_ASSIGN(const auto entries, List("data"));
  EXPECT_EQ(entries.size(), 1000u);
  EXPECT_THAT(List("data", 999), StatusIs(absl::StatusCode::kResourceExhausted));
}

TEST_F(ListDirectoryTest, StopsWhenTheCallerDoes) {
  for (int i = 0; i < 1000; ++i) MakeFile(absl::StrCat("data/file", i), "");
  const int before = CountDescriptors();
  for (int i = 0; i < 20; ++i) {
    grpc::ClientContext context;
    v1::ListDirectoryRequest request;
    request.set_path(Path("data"));
    auto reader = stub_->ListDirectory(&context, request);
    v1::ListDirectoryResponse batch;
    ASSERT_TRUE(reader->Read(&batch));
    EXPECT_EQ(batch.entries_size(), 128);
    context.TryCancel();
    EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::CANCELLED);
  }
  server_->Shutdown();
  EXPECT_LE(CountDescriptors(), before);
}

TEST_F(ListDirectoryTest, RefusesWhatIsNoGrantedDirectory) {
  MakeFile("data/file", "");
  MakeDirectory("outside");
  MakeSymlink("../outside", "data/link");
  EXPECT_THAT(List("data/file"), StatusIs(absl::StatusCode::kFailedPrecondition));
  EXPECT_THAT(List("data/absent"), StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(List("data/link"), StatusIs(absl::StatusCode::kPermissionDenied, "paths"));
  // The names of a directory are beneath it, and an exact path does not grant them.
  service_.SetLimits(Everything("data"));
  EXPECT_THAT(List("data"), StatusIs(absl::StatusCode::kPermissionDenied, "paths"));
  service_.SetLimits(Everything("/proc/"));
  EXPECT_THAT(List("/proc"), StatusIs(absl::StatusCode::kPermissionDenied, "kernel_file_systems"));
}

}  // namespace
}  // namespace capbroker::file
