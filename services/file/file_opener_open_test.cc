// Open and OpenMany: what is given out, and what kinds of object are not.
#include <fcntl.h>
#include <linux/capability.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "services/file/file_opener_fixture.h"

namespace capbroker::file {
namespace {

using ::grpc::StatusCode;

class FileOpenerOpenTest : public FileOpenerFixture {
 protected:
  void SetUp() override {
    MakeDirectory("data");
    MakeFile("data/page", "hello");
    limits_ = Everything("data/");
  }
  v1::FileOpenerLimits limits_;
};

TEST_F(FileOpenerOpenTest, GivesTheFileWithTheAccessThatWasAskedFor) {
  const struct {
    v1::Access access;
    int flags;
  } kCases[] = {{v1::ACCESS_READ, O_RDONLY},
                {v1::ACCESS_WRITE, O_WRONLY},
                {v1::ACCESS_READ_WRITE, O_RDWR},
                {v1::ACCESS_APPEND, O_WRONLY | O_APPEND}};
  for (const auto& c : kCases) {
    Answer<v1::OpenResponse> answer = Open(limits_, "data/page", c.access);
    ASSERT_THAT(answer, Succeeds()) << c.access;
    EXPECT_EQ(answer.response.size(), 5u);
    const UniqueFd fd = answer.call->TakeSent(answer.response.file());
    EXPECT_EQ(StatusFlags(fd), c.flags) << c.access;
    EXPECT_EQ(fcntl(fd.get(), F_GETFD), FD_CLOEXEC);
  }
  Answer<v1::OpenResponse> answer = Open(limits_, "data/page");
  EXPECT_EQ(Contents(answer), "hello");
}

TEST_F(FileOpenerOpenTest, NeverTruncatesAndAppendsAtTheEnd) {
  Answer<v1::OpenResponse> answer = Open(limits_, "data/page", v1::ACCESS_APPEND);
  ASSERT_THAT(answer, Succeeds());
  const UniqueFd fd = answer.call->TakeSent(answer.response.file());
  ASSERT_EQ(pwrite(fd.get(), " you", 4, 0), 4);
  Answer<v1::OpenResponse> again = Open(limits_, "data/page");
  EXPECT_EQ(Contents(again), "hello you");
}

TEST_F(FileOpenerOpenTest, DeniesAccessesPathsAndOperationsOutsideTheLimits) {
  limits_.clear_accesses();
  limits_.add_accesses(v1::ACCESS_READ);
  EXPECT_THAT(Open(limits_, "data/page", v1::ACCESS_WRITE), IsRefusedByName("accesses"));
  EXPECT_THAT(Open(limits_, "other"), IsRefusedByName("paths"));
  EXPECT_THAT(Open(limits_, "/etc/passwd"), IsRefusedByName("paths"));
  limits_.clear_operations();
  limits_.add_operations(v1::OPERATION_STAT);
  EXPECT_THAT(Open(limits_, "data/page"), IsRefusedByName("operations"));
}

TEST_F(FileOpenerOpenTest, EmptyLimitsGrantNothing) {
  EXPECT_THAT(Open({}, "data/page"), HasCode(StatusCode::PERMISSION_DENIED));
  v1::FileOpenerLimits without_kinds = limits_;
  without_kinds.clear_kinds();
  EXPECT_THAT(Open(without_kinds, "data/page"), IsRefusedByObject("kinds"));
  v1::FileOpenerLimits without_size = limits_;
  without_size.clear_max_size();
  EXPECT_THAT(Open(without_size, "data/page"), IsRefusedByObject("max_size"));
  MakeFile("data/empty", "");
  EXPECT_THAT(Open(without_size, "data/empty"), IsRefusedByObject("max_size"));
}

TEST_F(FileOpenerOpenTest, TellsAbsentFromDenied) {
  EXPECT_THAT(Open(limits_, "data/absent"), HasCode(StatusCode::NOT_FOUND));
  EXPECT_THAT(Open(limits_, "data/page/below"), HasCode(StatusCode::NOT_FOUND));
  EXPECT_THAT(Open(limits_, "data/none/below"), HasCode(StatusCode::NOT_FOUND));
  EXPECT_THAT(Open(Everything("none/"), "none/x"), HasCode(StatusCode::NOT_FOUND));
}

TEST_F(FileOpenerOpenTest, SaysNothingOfTheHost) {
  const Answer<v1::OpenResponse> answer = Open(limits_, "data/absent");
  EXPECT_EQ(answer.status.error_message(), "open: not found");
}

TEST_F(FileOpenerOpenTest, AnExactPathGrantsThatFileAlone) {
  MakeFile("data/page2", "no");
  const v1::FileOpenerLimits exact = Everything("data/page");
  EXPECT_THAT(Open(exact, "data/page"), Succeeds());
  EXPECT_THAT(Open(exact, "data/page2"), IsRefusedByName("paths"));
  EXPECT_THAT(Open(exact, "data/page/x"), IsRefusedByName("paths"));
  EXPECT_THAT(Open(exact, "data"), IsRefusedByName("paths"));
  EXPECT_THAT(Open(Everything("data/page", /*trusted=*/false), "data/page"), Succeeds());
}

TEST_F(FileOpenerOpenTest, DeniesPathsThatAreNotInNormalForm) {
  const v1::FileOpenerLimits everything = Everything("/");
  for (const std::string& path :
       {std::string("/../data/page"), std::string("//page"), std::string("/./page"),
        std::string("/page/"), std::string("/page/."), std::string("/.."),
        std::string("/page\0", 6), std::string("/page\0/../x", 11), "/" + std::string(5000, 'a')}) {
    EXPECT_THAT(Open(everything, Path("data") + path), HasCode(StatusCode::PERMISSION_DENIED))
        << path;
  }
}

TEST_F(FileOpenerOpenTest, AnswersToNamesTooLongForTheFileSystem) {
  EXPECT_THAT(Open(limits_, absl::StrCat("data/", std::string(256, 'a'))),
              HasCode(StatusCode::INVALID_ARGUMENT));
  EXPECT_THAT(Open(limits_, absl::StrCat("data/", std::string(255, 'a'))),
              HasCode(StatusCode::NOT_FOUND));
}

TEST_F(FileOpenerOpenTest, OpensNamesThatAreNoText) {
  const std::string name = "data/\xff\xfe \n\x01\"%s";
  MakeFile(name, "odd");
  Answer<v1::OpenResponse> answer = Open(limits_, name);
  ASSERT_THAT(answer, Succeeds());
  EXPECT_EQ(Contents(answer), "odd");
}

TEST_F(FileOpenerOpenTest, DeniesFilesLargerThanTheLimitForReadingOnly) {
  limits_.set_max_size(4);
  EXPECT_THAT(Open(limits_, "data/page"), IsRefusedByObject("max_size"));
  EXPECT_THAT(Open(limits_, "data/page", v1::ACCESS_READ_WRITE), IsRefusedByObject("max_size"));
  EXPECT_THAT(Open(limits_, "data/page", v1::ACCESS_WRITE), Succeeds());
  EXPECT_THAT(Open(limits_, "data/page", v1::ACCESS_APPEND), Succeeds());
  limits_.set_max_size(5);
  EXPECT_THAT(Open(limits_, "data/page"), Succeeds());
}

TEST_F(FileOpenerOpenTest, DeniesDirectoriesAndSocketsEvenIfTheirKindIsGranted) {
  MakeDirectory("data/sub");
  sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = ""};
  // The test's directory can be too long for a socket's address.
  const UniqueFd directory(open(Path("data").c_str(), O_PATH | O_CLOEXEC));
  absl::StrCat("/proc/self/fd/", directory.get(), "/socket").copy(address.sun_path, 100);
  const UniqueFd listener(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  ASSERT_EQ(bind(listener.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  for (int kind = 1; kind <= v1::FileKind_MAX; ++kind) {
    limits_.add_kinds(static_cast<v1::FileKind>(kind));
  }
  EXPECT_THAT(Open(limits_, "data/sub"), IsRefusedByObject("kinds"));
  EXPECT_THAT(Open(limits_, "data"), IsRefusedByObject("kinds"));
  EXPECT_THAT(Open(limits_, "data/socket"), IsRefusedByObject("kinds"));
}

TEST_F(FileOpenerOpenTest, OpensDevicesOnlyIfGranted) {
  v1::FileOpenerLimits limits = Everything("/dev/null");
  EXPECT_THAT(Open(limits, "/dev/null"), IsRefusedByObject("kinds"));
  limits.add_kinds(v1::FILE_KIND_CHARACTER_DEVICE);
  Answer<v1::OpenResponse> answer = Open(limits, "/dev/null", v1::ACCESS_READ_WRITE);
  ASSERT_THAT(answer, Succeeds());
  EXPECT_EQ(answer.response.size(), 0u);
  EXPECT_EQ(StatusFlags(answer.call->TakeSent(answer.response.file())), O_RDWR);
}

TEST_F(FileOpenerOpenTest, DeniesBlockDevices) {
  if (mknod(Path("data/disk").c_str(), S_IFBLK | 0600, makedev(7, 77)) != 0) {
    GTEST_SKIP() << "needs CAP_MKNOD";
  }
  limits_.add_kinds(v1::FILE_KIND_BLOCK_DEVICE);
  EXPECT_THAT(Open(limits_, "data/disk"), IsRefusedByObject("kinds"));
}

TEST_F(FileOpenerOpenTest, NeverWaitsForTheOtherEndOfAFifo) {
  ASSERT_EQ(mkfifo(Path("data/fifo").c_str(), 0600), 0);
  EXPECT_THAT(Open(limits_, "data/fifo"), IsRefusedByObject("kinds"));
  limits_.add_kinds(v1::FILE_KIND_FIFO);
  alarm(20);
  EXPECT_THAT(Open(limits_, "data/fifo", v1::ACCESS_WRITE), HasCode(StatusCode::UNAVAILABLE));
  Answer<v1::OpenResponse> reader = Open(limits_, "data/fifo");
  ASSERT_THAT(reader, Succeeds());
  const UniqueFd read_end = reader.call->TakeSent(reader.response.file());
  EXPECT_EQ(StatusFlags(read_end), O_RDONLY) << "must be a blocking descriptor";
  Answer<v1::OpenResponse> writer = Open(limits_, "data/fifo", v1::ACCESS_WRITE);
  ASSERT_THAT(writer, Succeeds());
  const UniqueFd write_end = writer.call->TakeSent(writer.response.file());
  ASSERT_EQ(write(write_end.get(), "x", 1), 1);
  char byte = 0;
  EXPECT_EQ(read(read_end.get(), &byte, 1), 1);
  alarm(0);
}

TEST_F(FileOpenerOpenTest, NeverTakesAControllingTerminal) {
  const UniqueFd master(posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC));
  ASSERT_TRUE(master.valid());
  ASSERT_EQ(unlockpt(master.get()), 0);
  const std::string terminal = ptsname(master.get());
  v1::FileOpenerLimits limits = Everything(terminal);
  limits.add_kinds(v1::FILE_KIND_CHARACTER_DEVICE);
  EXPECT_TRUE(PassesWithoutCapabilities([&] {
    MakeService();
    ASSERT_NE(setsid(), -1);
    Answer<v1::OpenResponse> answer = Open(limits, terminal, v1::ACCESS_READ_WRITE);
    ASSERT_THAT(answer, Succeeds());
    EXPECT_TRUE(isatty(answer.call->TakeSent(answer.response.file()).get()));
    EXPECT_FALSE(UniqueFd(open("/dev/tty", O_RDWR | O_CLOEXEC)).valid());
  }));
}

TEST_F(FileOpenerOpenTest, NeverWaitsForALease) {
  const UniqueFd holder(open(Path("data/page").c_str(), O_RDONLY | O_CLOEXEC));
  signal(SIGIO, SIG_IGN);
  if (fcntl(holder.get(), F_SETLEASE, F_RDLCK) != 0) GTEST_SKIP() << "no leases here";
  alarm(20);
  EXPECT_THAT(Open(limits_, "data/page"), Succeeds());
  EXPECT_THAT(Open(limits_, "data/page", v1::ACCESS_WRITE), HasCode(StatusCode::UNAVAILABLE));
  alarm(0);
}

TEST_F(FileOpenerOpenTest, NeverOpensSetIdFilesForWriting) {
  MakeFile("data/suid", "#!", 04755);
  MakeFile("data/sgid", "#!", 02755);
  for (const char* path : {"data/suid", "data/sgid"}) {
    EXPECT_THAT(Open(limits_, path), Succeeds());
    for (v1::Access access : {v1::ACCESS_WRITE, v1::ACCESS_READ_WRITE, v1::ACCESS_APPEND}) {
      EXPECT_THAT(Open(limits_, path, access), IsRefusedByObject("kinds")) << path;
    }
  }
}

TEST_F(FileOpenerOpenTest, NeverOpensFilesWithCapabilitiesForWriting) {
  MakeFile("data/tool", "#!", 0755);
  vfs_cap_data capability = {};
  capability.magic_etc = VFS_CAP_REVISION_2 | VFS_CAP_FLAGS_EFFECTIVE;
  capability.data[0].permitted = 1u << CAP_NET_RAW;
  if (setxattr(Path("data/tool").c_str(), "security.capability", &capability, sizeof capability,
               0) != 0) {
    GTEST_SKIP() << "needs CAP_SETFCAP";
  }
  EXPECT_THAT(Open(limits_, "data/tool"), Succeeds());
  EXPECT_THAT(Open(limits_, "data/tool", v1::ACCESS_WRITE), IsRefusedByObject("kinds"));
}

TEST_F(FileOpenerOpenTest, TellsTheHostsRefusalAsARefusal) {
  MakeFile("data/secret", "no", 0);
  MakeFile("data/read_only", "yes", 0444);
  MakeDirectory("data/closed");
  MakeFile("data/closed/page", "no");
  ASSERT_EQ(chmod(Path("data/closed").c_str(), 0), 0);
  ASSERT_EQ(chmod(Path("data").c_str(), 0555), 0);
  const bool passes = PassesWithoutCapabilities([&] {
    MakeService();  // in the process that serves
    EXPECT_THAT(Open(limits_, "data/read_only"), Succeeds());
    EXPECT_THAT(Open(limits_, "data/read_only", v1::ACCESS_WRITE), IsRefusedByObject("paths"));
    EXPECT_THAT(Open(limits_, "data/secret"), IsRefusedByObject("paths"));
    EXPECT_THAT(Stat(limits_, "data/secret"), Succeeds());
    EXPECT_THAT(Open(limits_, "data/closed/page"), IsRefusedByObject("paths"));
    EXPECT_THAT(Stat(limits_, "data/closed/page"), IsRefusedByObject("paths"));
    EXPECT_THAT(Create(limits_, "data/new"), IsRefusedByObject("paths"));
  });
  EXPECT_TRUE(passes);
  ASSERT_EQ(chmod(Path("data").c_str(), 0755), 0);
  ASSERT_EQ(chmod(Path("data/closed").c_str(), 0755), 0);
}

TEST_F(FileOpenerOpenTest, OpensManyWithAResultForEach) {
  MakeFile("data/b", "b");
  MakeDirectory("data/sub");
  Answer<v1::OpenManyResponse> answer =
      OpenMany(limits_, {"data/page", "data/absent", "data/sub", "data/b"});
  ASSERT_THAT(answer, Succeeds());
  ASSERT_EQ(answer.response.results_size(), 4);
  EXPECT_EQ(answer.response.results(0).code(), 0);
  EXPECT_EQ(ReadAll(answer.call->TakeSent(answer.response.results(0).file())), "hello");
  EXPECT_EQ(answer.response.results(1).code(), StatusCode::NOT_FOUND);
  EXPECT_FALSE(answer.response.results(1).has_file());
  EXPECT_EQ(answer.response.results(2).code(), StatusCode::PERMISSION_DENIED);
  EXPECT_EQ(answer.response.results(2).denial().field(), "kinds");
  EXPECT_EQ(answer.response.results(2).denial().reason(), ::capbroker::v1::Denial::OBJECT_REFUSED);
  EXPECT_EQ(ReadAll(answer.call->TakeSent(answer.response.results(3).file())), "b");
  EXPECT_EQ(answer.call->sent.size(), 2u);
}

TEST_F(FileOpenerOpenTest, OpensNoneOfManyWhenOneIsDenied) {
  Answer<v1::OpenManyResponse> answer = OpenMany(limits_, {"data/page", "/etc/passwd"});
  EXPECT_THAT(answer, IsRefusedByName("paths"));
  EXPECT_TRUE(answer.call->sent.empty());
  EXPECT_THAT(OpenMany(limits_, std::vector<std::string>(33, "data/page")),
              HasCode(StatusCode::PERMISSION_DENIED));
  EXPECT_THAT(OpenMany(limits_, std::vector<std::string>(32, "data/page")), Succeeds());
}

TEST_F(FileOpenerOpenTest, KeepsNoDescriptor) {
  const int before = CountDescriptors();
  for (int i = 0; i < 100; ++i) {
    Open(limits_, "data/page");
    Open(limits_, "data/absent");
    Open(limits_, "data");
    Stat(limits_, "data/page");
    RealPath(limits_, "data/page");
    OpenDirectory(limits_, "data");
    Create(limits_, absl::StrCat("data/new", i));
    Create(limits_, "data/page");
  }
  EXPECT_EQ(CountDescriptors(), before);
}

}  // namespace
}  // namespace capbroker::file
