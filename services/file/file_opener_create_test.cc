// Create: new regular files, and nothing else.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>

#include "services/file/file_opener_fixture.h"

namespace capbroker::file {
namespace {

using ::grpc::StatusCode;

// Whose response turns out to carry nothing, when the file is there already.
class CallWithoutDescriptors : public serving::FakeCall {
 public:
  using FakeCall::FakeCall;
  grpc::Status Attach(UniqueFd, ::capbroker::v1::Descriptor*) override {
    return grpc::Status(StatusCode::FAILED_PRECONDITION, "no descriptors here");
  }
};

class FileOpenerCreateTest : public FileOpenerFixture {
 protected:
  void SetUp() override {
    MakeDirectory("data");
    MakeFile("data/page", "hello");
    limits_ = Everything("data/");
    umask(022);
  }
  mode_t ModeOf(absl::string_view path) {
    struct stat status = {};
    EXPECT_EQ(stat(Path(path).c_str(), &status), 0);
    return status.st_mode;
  }
  v1::FileOpenerLimits limits_;
};

TEST_F(FileOpenerCreateTest, CreatesAFileWithTheAccessThatWasAskedFor) {
  const struct {
    const char* path;
    v1::Access access;
    int flags;
  } kCases[] = {{"data/r", v1::ACCESS_READ, O_RDONLY},
                {"data/w", v1::ACCESS_WRITE, O_WRONLY},
                {"data/rw", v1::ACCESS_READ_WRITE, O_RDWR},
                {"data/a", v1::ACCESS_APPEND, O_WRONLY | O_APPEND}};
  for (const auto& c : kCases) {
    Answer<v1::CreateResponse> answer = Create(limits_, c.path, c.access);
    ASSERT_THAT(answer, Succeeds()) << c.path;
    const UniqueFd fd = answer.call->TakeSent(answer.response.file());
    EXPECT_EQ(StatusFlags(fd), c.flags) << c.path;
    EXPECT_EQ(fcntl(fd.get(), F_GETFD), FD_CLOEXEC);
    EXPECT_EQ(ModeOf(c.path), S_IFREG | 0600u);
  }
}

TEST_F(FileOpenerCreateTest, NeverTouchesWhatExists) {
  MakeSymlink("absent", "data/dangling");
  MakeDirectory("data/sub");
  for (const char* path : {"data/page", "data/dangling", "data/sub"}) {
    EXPECT_THAT(Create(limits_, path), HasCode(StatusCode::ALREADY_EXISTS)) << path;
  }
  Answer<v1::OpenResponse> page = Open(limits_, "data/page");
  EXPECT_EQ(Contents(page), "hello");
  EXPECT_NE(access(Path("data/absent").c_str(), F_OK), 0);
}

TEST_F(FileOpenerCreateTest, AppliesTheUmask) {
  umask(027);
  EXPECT_THAT(Create(limits_, "data/new", v1::ACCESS_WRITE, 0666), Succeeds());
  EXPECT_EQ(ModeOf("data/new"), S_IFREG | 0640u);
}

TEST_F(FileOpenerCreateTest, DeniesModesOutsideTheLimits) {
  limits_.set_modes(0600);
  EXPECT_THAT(Create(limits_, "data/new", v1::ACCESS_WRITE, 0644), IsRefusedByName("modes"));
  EXPECT_THAT(Create(limits_, "data/new", v1::ACCESS_WRITE, 0600), Succeeds());
}

TEST_F(FileOpenerCreateTest, NeverMakesSetIdOrStickyFilesEvenIfGranted) {
  limits_.set_modes(07777);
  for (uint32_t mode : {04755u, 02755u, 01755u}) {
    EXPECT_THAT(Create(limits_, "data/new", v1::ACCESS_WRITE, mode),
                HasCode(StatusCode::INVALID_ARGUMENT))
        << mode;
  }
  EXPECT_NE(access(Path("data/new").c_str(), F_OK), 0);
  // A set-group-id directory gives its group, not its bit.
  ASSERT_EQ(chmod(Path("data").c_str(), 02755), 0);
  EXPECT_THAT(Create(limits_, "data/new", v1::ACCESS_WRITE, 0777), Succeeds());
  EXPECT_EQ(ModeOf("data/new"), S_IFREG | 0755u);
}

TEST_F(FileOpenerCreateTest, NeedsItsOperationAndTheParent) {
  EXPECT_THAT(Create(limits_, "data/none/new"), HasCode(StatusCode::NOT_FOUND));
  EXPECT_THAT(Create(limits_, "data/page/new"), HasCode(StatusCode::NOT_FOUND));
  EXPECT_THAT(Create(limits_, "new"), IsRefusedByName("paths"));
  limits_.clear_operations();
  limits_.add_operations(v1::OPERATION_OPEN);
  EXPECT_THAT(Create(limits_, "data/new"), IsRefusedByName("operations"));
}

TEST_F(FileOpenerCreateTest, CreatesAnExactPathAndNothingBesideIt) {
  const v1::FileOpenerLimits exact = Everything("data/log");
  EXPECT_THAT(Create(exact, "data/log2"), IsRefusedByName("paths"));
  EXPECT_THAT(Create(exact, "data/log"), Succeeds());
  const v1::FileOpenerLimits untrusted = Everything("data/log3", /*trusted=*/false);
  EXPECT_THAT(Create(untrusted, "data/log3"), Succeeds());
  // A narrowed one: the application's root above, the exact path of the holder.
  v1::FileOpenerLimits narrowed = Everything("data/log4", /*trusted=*/false);
  narrowed.add_trusted_roots(Path("data/"));
  EXPECT_THAT(Create(narrowed, "data/log4"), Succeeds());
}

TEST_F(FileOpenerCreateTest, CreatesNothingInKernelFileSystems) {
  v1::FileOpenerLimits limits = Everything("/proc/");
  EXPECT_THAT(Create(limits, "/proc/new"), IsRefusedByObject("kernel_file_systems"));
  limits.set_kernel_file_systems(1);
  EXPECT_THAT(Create(limits, "/proc/new"), IsRefusedByObject("kernel_file_systems"));
}

TEST_F(FileOpenerCreateTest, CreatesNothingWhereNoDescriptorCanBeSent) {
  v1::CreateRequest request;
  request.set_path(Path("data/new"));
  request.set_access(v1::ACCESS_WRITE);
  request.set_mode(0600);
  v1::CreateResponse response;
  grpc::ServerContext context;
  serving::FakeCall call(Compile(limits_));
  call.can_attach = false;
  const serving::CallScope scope(&context, &call);
  struct stat before = {};
  ASSERT_EQ(stat(Path("data").c_str(), &before), 0);
  EXPECT_EQ(FileOpenerService().Create(&context, &request, &response).error_code(),
            StatusCode::FAILED_PRECONDITION);
  struct stat after = {};
  ASSERT_EQ(stat(Path("data").c_str(), &after), 0);
  EXPECT_EQ(before.st_mtim.tv_sec, after.st_mtim.tv_sec);
  EXPECT_EQ(before.st_mtim.tv_nsec, after.st_mtim.tv_nsec) << "not for a moment either";
}

TEST_F(FileOpenerCreateTest, LeavesNoFileBehindThatCannotBeSent) {
  v1::CreateRequest request;
  request.set_path(Path("data/new"));
  request.set_access(v1::ACCESS_WRITE);
  request.set_mode(0600);
  v1::CreateResponse response;
  grpc::ServerContext context;
  CallWithoutDescriptors call(Compile(limits_));
  const serving::CallScope scope(&context, &call);
  FileOpenerService service;
  EXPECT_EQ(service.Create(&context, &request, &response).error_code(),
            StatusCode::FAILED_PRECONDITION);
  EXPECT_NE(access(Path("data/new").c_str(), F_OK), 0);
}

}  // namespace
}  // namespace capbroker::file
