// Channels that travel through a proxy: over the real FileOpener, whose OpenDirectory gives
// one.
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status_matchers.h"
#include "broker/testing/descendants.h"
#include "broker/testing/probe_client.h"
#include "broker/testing/probe_service.h"
#include "capbroker/file/v1/file_opener.proxy.h"
#include "client/broker.h"
#include "services/file/file_client.h"
#include "services/file/file_limits.h"
#include "services/file/grants.h"
#include "services/interpose.h"
#include "services/service.h"
#include "serving/call.h"
#include "transport/grpc_status.h"

namespace capbroker::testing {
namespace {

using ::capbroker::v1::Denial;
using ::capbroker::v1::InspectResponse;
using file::v1::FileOpener;

// Refuses files that end in ".key", whatever the limits say.
class KeyKeeper : public Interposer {
 public:
  std::optional<grpc::Status> OnRequest(InterposedCall& call,
                                        google::protobuf::Message& request) override {
    const auto* open = google::protobuf::DynamicCastToGenerated<file::v1::OpenRequest>(&request);
    if (open == nullptr || !absl::EndsWith(open->path(), ".key")) return std::nullopt;
    return call.serving().Refuse("paths");
  }
};

// A FileOpener whose directories are channels of the service that it was given.
class Confused : public FileOpener::Service {
 public:
  static constexpr char kInstance[] = "confused";
  explicit Confused(serving::ServiceInputs inputs) : inputs_(std::move(inputs)) {}

  grpc::Status OpenDirectory(grpc::ServerContext* context, const file::v1::OpenDirectoryRequest*,
                             file::v1::OpenDirectoryResponse* response) override {
    const auto channel = inputs_.upstream->Get(absl::InfiniteFuture());
    if (!channel.ok()) return ToGrpcStatus(channel.status());
    const auto clone = (*channel)->Clone();
    if (!clone.ok()) return ToGrpcStatus(clone.status());
    return serving::Call::Of(context).Attach(*(*clone)->Release(), response->mutable_directory());
  }

 private:
  const serving::ServiceInputs inputs_;
};

class Permissive : public Interposer {
 public:
  bool MayPass(InterposedCall&, const google::protobuf::FieldDescriptor& field,
               absl::string_view service) override {
    return field.name() == "directory" && service == "capbroker.testing.v1.Probe";
  }
};

Denial::Reason ReasonOf(const absl::Status& status) {
  const std::optional<Denial> denial = DenialOf(status);
  return denial ? denial->reason() : Denial::REASON_UNSPECIFIED;
}

class MembraneTest : public ::testing::Test {
 protected:
  void SetUp() override {
    root_ = absl::StrCat(std::filesystem::canonical(::testing::TempDir()).string(), "/membrane.",
                         getpid());
    mkdir(root_.c_str(), 0755);
    mkdir((root_ + "/sub").c_str(), 0755);
    for (const char* name : {"/top", "/sub/page", "/sub/secret.key"}) {
      std::ofstream(root_ + name) << "content";
    }
    absl::StatusOr<Broker> started = Broker::Start();
    ASSERT_OK(started);
    broker_.emplace(*std::move(started));
  }
  void TearDown() override {
    for (const char* name : {"/top", "/sub/page", "/sub/secret.key"})
      unlink((root_ + name).c_str());
    rmdir((root_ + "/sub").c_str());
    rmdir(root_.c_str());
  }

  file::v1::FileOpenerLimits Limits() {
    return file::LimitsForDirectory(root_, file::DirectoryUse::kRead);
  }

  std::shared_ptr<Channel> Open(const Authority& authority) {
    absl::StatusOr<std::shared_ptr<Channel>> channel = broker_->Open(authority);
    EXPECT_OK(channel);
    return channel.value_or(nullptr);
  }

  std::shared_ptr<Channel> OpenProxy() {
    return Open(Interpose<FileOpener, KeyKeeper>(Open(ReadOnlyDirectory(root_)), Limits()));
  }

  static absl::Status Read(const std::shared_ptr<Channel>& channel, const std::string& path) {
    const auto stub = NewStub<FileOpener>(channel);
    return file::Files(*stub).OpenForReading(path).status();
  }

  static absl::StatusOr<std::shared_ptr<Channel>> OpenDirectory(
      const std::shared_ptr<Channel>& channel, const std::string& path) {
    const auto stub = NewStub<FileOpener>(channel);
    absl::StatusOr<file::Files::DirectoryChannel> directory =
        file::Files(*stub).OpenDirectory(path);
    if (!directory.ok()) return directory.status();
    return Channel::Adopt(std::move(directory->lane));
  }

  std::optional<InspectResponse::Family> FindFamily(bool proxy) {
    const absl::StatusOr<InspectResponse> tree = broker_->Inspect();
    EXPECT_OK(tree);
    for (const InspectResponse::Family& family : tree->families()) {
      if (absl::StrContains(family.service(), "#proxy.") == proxy) return family;
    }
    return std::nullopt;
  }

  std::string root_;
  std::optional<Broker> broker_;
};

TEST_F(MembraneTest, DescriptorsPassThrough) {
  const std::shared_ptr<Channel> proxy = OpenProxy();
  EXPECT_OK(Read(proxy, root_ + "/top"));
  EXPECT_EQ(ReasonOf(Read(proxy, root_ + "/sub/secret.key")), Denial::OBJECT_REFUSED);
  const auto stub = NewStub<FileOpener>(proxy);
  ASSERT_OK_AND_ASSIGN(const auto files,
                       file::Files(*stub).OpenManyForReading(
                           {root_ + "/top", root_ + "/none", root_ + "/sub/page"}));
  ASSERT_EQ(files.size(), 3u);
  char content[8] = {};
  ASSERT_OK(files[2]);
  EXPECT_EQ(read(files[2]->get(), content, sizeof content), 7);
  EXPECT_EQ(files[1].status().code(), absl::StatusCode::kNotFound);
}

// INVARIANT(membrane)
TEST_F(MembraneTest, ChannelOfTheServiceComesOutAsOneOfTheProxy) {
  ASSERT_OK_AND_ASSIGN(const std::shared_ptr<Channel> directory,
                       OpenDirectory(OpenProxy(), root_ + "/sub"));
  // LIMIT: to the directory. ALLOWED: what is in it. DISALLOWED: what the interposer refuses.
  file::v1::FileOpenerLimits limits;
  ASSERT_OK(directory->GetLimits(&limits));
  ASSERT_EQ(limits.paths_size(), 1);
  EXPECT_TRUE(absl::EndsWith(limits.paths(0), "/sub/"));
  EXPECT_OK(Read(directory, root_ + "/sub/page"));
  EXPECT_EQ(ReasonOf(Read(directory, root_ + "/top")), Denial::NOT_IN_LIMITS);
  EXPECT_EQ(ReasonOf(Read(directory, root_ + "/sub/secret.key")), Denial::OBJECT_REFUSED);
  // Nor do its clones, nor directories of directories, lead around the proxy.
  ASSERT_OK_AND_ASSIGN(const std::shared_ptr<Channel> clone, directory->Clone());
  EXPECT_OK(Read(clone, root_ + "/sub/page"));
  EXPECT_EQ(ReasonOf(Read(clone, root_ + "/sub/secret.key")), Denial::OBJECT_REFUSED);
  ASSERT_OK_AND_ASSIGN(const std::shared_ptr<Channel> again, OpenDirectory(clone, root_ + "/sub"));
  EXPECT_OK(Read(again, root_ + "/sub/page"));
  EXPECT_EQ(ReasonOf(Read(again, root_ + "/sub/secret.key")), Denial::OBJECT_REFUSED);
}

TEST_F(MembraneTest, ChannelThatCameThroughIsRevokedWithItsParent) {
  const std::shared_ptr<Channel> proxy = OpenProxy();
  ASSERT_OK_AND_ASSIGN(const std::shared_ptr<Channel> directory,
                       OpenDirectory(proxy, root_ + "/sub"));
  ASSERT_OK(broker_->Revoke(*proxy));
  EXPECT_EQ(ReasonOf(Read(directory, root_ + "/sub/page")), Denial::REVOKED);
}

TEST_F(MembraneTest, ChannelThatCameThroughEndsWithTheProcessThatHasWhatIsBehindIt) {
  const std::shared_ptr<Channel> proxy = OpenProxy();
  ASSERT_OK_AND_ASSIGN(const std::shared_ptr<Channel> directory,
                       OpenDirectory(proxy, root_ + "/sub"));
  ASSERT_OK_AND_ASSIGN(const std::shared_ptr<Channel> clone, directory->Clone());
  ASSERT_OK(Read(directory, root_ + "/sub/page"));
  kill(FindFamily(true)->process(), SIGKILL);
  ASSERT_TRUE(Eventually([&] { return Read(proxy, root_ + "/top").ok(); }));
  for (int i = 0; i < 3; ++i) {  // not the first call alone, which the crash ends
    EXPECT_THAT(Read(directory, root_ + "/sub/page"), StatusIs(absl::StatusCode::kUnavailable));
    EXPECT_THAT(Read(clone, root_ + "/sub/page"), StatusIs(absl::StatusCode::kUnavailable));
  }
  ASSERT_OK_AND_ASSIGN(const std::shared_ptr<Channel> anew, OpenDirectory(proxy, root_ + "/sub"));
  EXPECT_OK(Read(anew, root_ + "/sub/page"));
}

TEST_F(MembraneTest, ClosingWhatCameThroughClosesWhatIsBehindIt) {
  const std::shared_ptr<Channel> proxy = OpenProxy();
  ASSERT_OK(Read(proxy, root_ + "/top"));
  const uint32_t before = FindFamily(false)->channels();
  {
    ASSERT_OK_AND_ASSIGN(const std::shared_ptr<Channel> directory,
                         OpenDirectory(proxy, root_ + "/sub"));
    ASSERT_OK(Read(directory, root_ + "/sub/page"));
    EXPECT_TRUE(Eventually([&] { return FindFamily(false)->channels() == before + 1; }));
  }
  EXPECT_TRUE(Eventually([&] { return FindFamily(false)->channels() == before; }));
}

TEST_F(MembraneTest, ChannelThatCameThroughAndItsClonesCallWhatIsBehindIt) {
  // What is upstream opens no file itself; the directories that it gives do.
  Authority confused = Serve<Confused>(Limits());
  confused.upstream = Open(ReadOnlyDirectory(root_));
  const std::shared_ptr<Channel> proxy = Open(Interpose<FileOpener>(Open(confused), Limits()));
  EXPECT_THAT(Read(proxy, root_ + "/top"), StatusIs(absl::StatusCode::kUnimplemented));
  ASSERT_OK_AND_ASSIGN(const std::shared_ptr<Channel> directory,
                       OpenDirectory(proxy, root_ + "/sub"));
  EXPECT_OK(Read(directory, root_ + "/top"));
  ASSERT_OK_AND_ASSIGN(const std::shared_ptr<Channel> clone, directory->Clone());
  EXPECT_OK(Read(clone, root_ + "/top"));
  EXPECT_THAT(Read(proxy, root_ + "/top"), StatusIs(absl::StatusCode::kUnimplemented));
}

TEST_F(MembraneTest, ChannelOfAnotherServiceDoesNotPass) {
  Authority confused = Serve<Confused>(Limits());
  confused.upstream = Open(Probe({"a"}));
  const std::shared_ptr<Channel> proxy = Open(Interpose<FileOpener>(Open(confused), Limits()));
  EXPECT_EQ(ReasonOf(OpenDirectory(proxy, root_ + "/sub").status()), Denial::OBJECT_REFUSED);
}

TEST_F(MembraneTest, ChannelOfAnotherServicePassesIfTheInterposerSaysSo) {
  Authority confused = Serve<Confused>(Limits());
  confused.upstream = Open(Probe({"a"}));
  const std::shared_ptr<Channel> proxy =
      Open(Interpose<FileOpener, Permissive>(Open(confused), Limits()));
  ASSERT_OK_AND_ASSIGN(const std::shared_ptr<Channel> passed, OpenDirectory(proxy, root_ + "/sub"));
  EXPECT_OK(ProbeClient(passed).Say("a"));
}

}  // namespace
}  // namespace capbroker::testing
