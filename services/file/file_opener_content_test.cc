// Read and Write: content in messages, and nothing that a revocation could not take back.
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <limits>
#include <string>

#include "services/file/file_content.h"
#include "services/file/file_limits.h"
#include "services/file/file_opener_fixture.h"

namespace capbroker::file {
namespace {

using ::grpc::StatusCode;

class FileOpenerContentTest : public FileOpenerFixture {
 protected:
  void SetUp() override {
    MakeDirectory("data");
    MakeFile("data/page", "0123456789");
    MakeFile("outside", "secret");
    limits_ = Everything("data/");
  }
  std::string ContentOf(absl::string_view path) {
    return ReadAll(UniqueFd(open(Path(path).c_str(), O_RDONLY | O_CLOEXEC)));
  }
  v1::FileOpenerLimits limits_;
};

TEST_F(FileOpenerContentTest, ReadsPiecesAndTellsTheEnd) {
  const struct {
    uint64_t offset;
    uint32_t size;
    const char* content;
    bool at_end;
  } kCases[] = {{0, 4, "0123", false},
                {4, 6, "456789", true},
                {4, 5, "45678", false},
                {0, 0, "0123456789", true},
                {8, 100, "89", true},
                {10, 1, "", true},
                {std::numeric_limits<uint64_t>::max(), 1, "", true},
                {uint64_t{1} << 40, 0, "", true}};
  for (const auto& c : kCases) {
    const Answer<v1::ReadResponse> answer = Read(limits_, "data/page", c.offset, c.size);
    ASSERT_THAT(answer, Succeeds()) << c.offset;
    EXPECT_EQ(answer.response.content(), c.content) << c.offset;
    EXPECT_EQ(answer.response.at_end(), c.at_end) << c.offset << " " << c.size;
  }
}

TEST_F(FileOpenerContentTest, ReadsNoMoreThanAMessageHolds) {
  MakeFile("data/long", std::string(2 * kMaxPiece, 'x'));
  for (const uint32_t size : {0u, 1u << 20, std::numeric_limits<uint32_t>::max()}) {
    const Answer<v1::ReadResponse> answer = Read(limits_, "data/long", 1, size);
    ASSERT_THAT(answer, Succeeds());
    EXPECT_EQ(answer.response.content().size(), kMaxPiece);
    EXPECT_FALSE(answer.response.at_end());
  }
}

TEST_F(FileOpenerContentTest, TellsThatTheNameHasAnotherFile) {
  const auto identity = [this] { return Read(limits_, "data/page").response.file(); };
  const uint64_t first = identity();
  EXPECT_NE(first, 0u);
  EXPECT_EQ(identity(), first);
  EXPECT_EQ(Write(limits_, "data/page", v1::ACCESS_WRITE, 0, "x").response.file(), first);
  MakeFile("data/new", "new content");
  ASSERT_EQ(rename(Path("data/new").c_str(), Path("data/page").c_str()), 0);
  EXPECT_NE(identity(), first);
}

TEST_F(FileOpenerContentTest, GivesNoDescriptorWithContent) {
  const Answer<v1::ReadResponse> read = Read(limits_, "data/page");
  EXPECT_TRUE(read.call->sent.empty());
  const v1::FileOpenerLimits revocable = LimitsForRevocableDirectory(Path("data"));
  EXPECT_THAT(Read(revocable, "data/page"), Succeeds());
  EXPECT_THAT(Open(revocable, "data/page"), IsRefusedByName("operations"));
  EXPECT_THAT(OpenMany(revocable, {Path("data/page")}), IsRefusedByName("operations"));
  EXPECT_THAT(Create(revocable, "data/new", v1::ACCESS_READ), IsRefusedByName("operations"));
  EXPECT_THAT(Write(revocable, "data/page", v1::ACCESS_WRITE, 0, "x"),
              IsRefusedByName("operations"));
  const v1::FileOpenerLimits writing = LimitsForRevocableWriting({Path("data/page")}, 100);
  EXPECT_THAT(Write(writing, "data/page", v1::ACCESS_WRITE, 0, "x"), Succeeds());
  EXPECT_THAT(Open(writing, "data/page"), IsRefusedByName("operations"));
}

TEST_F(FileOpenerContentTest, WhoMayOpenMayNotForThatReadOrWrite) {
  const v1::FileOpenerLimits limits = LimitsForReading({Path("data/page")});
  EXPECT_THAT(Read(limits, "data/page"), IsRefusedByName("operations"));
  EXPECT_THAT(Write(limits, "data/page", v1::ACCESS_WRITE, 0, "x"), IsRefusedByName("operations"));
}

TEST_F(FileOpenerContentTest, DeniesAccessesOutsideTheLimits) {
  limits_.clear_accesses();
  limits_.add_accesses(v1::ACCESS_APPEND);
  EXPECT_THAT(Read(limits_, "data/page"), IsRefusedByName("accesses"));
  EXPECT_THAT(Write(limits_, "data/page", v1::ACCESS_WRITE, 0, "x"), IsRefusedByName("accesses"));
  EXPECT_THAT(Write(limits_, "data/page", v1::ACCESS_APPEND, 0, "x"), Succeeds());
  EXPECT_EQ(ContentOf("data/page"), "0123456789x");
}

// INVARIANT(beneath-means-beneath)
TEST_F(FileOpenerContentTest, LeavesNoGrantedDirectory) {
  MakeSymlink("../outside", "data/out");
  EXPECT_THAT(Read(limits_, "outside"), IsRefusedByName("paths"));
  EXPECT_THAT(Read(limits_, "data/out"), IsRefusedByObject("paths"));
  EXPECT_THAT(Write(limits_, "data/out", v1::ACCESS_WRITE, 0, "x"), IsRefusedByObject("paths"));
  EXPECT_EQ(ContentOf("outside"), "secret");
}

TEST_F(FileOpenerContentTest, ReadsAndWritesRegularFilesAlone) {
  ASSERT_EQ(mkfifo(Path("data/fifo").c_str(), 0666), 0);
  limits_.add_kinds(v1::FILE_KIND_FIFO);
  limits_.add_kinds(v1::FILE_KIND_CHARACTER_DEVICE);
  limits_.add_paths("/dev/zero");
  limits_.add_trusted_roots("/dev/zero");
  // A reader would find that its FIFO was opened.
  const UniqueFd reader(open(Path("data/fifo").c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  EXPECT_THAT(Write(limits_, "data/fifo", v1::ACCESS_APPEND, 0, "x"), IsRefusedByObject("kinds"));
  EXPECT_THAT(Read(limits_, "data/fifo"), IsRefusedByObject("kinds"));
  EXPECT_THAT(Read(limits_, "/dev/zero"), IsRefusedByObject("kinds"));
  EXPECT_THAT(Read(limits_, "data"), IsRefusedByObject("kinds"));
  limits_.clear_kinds();
  EXPECT_THAT(Read(limits_, "data/page"), IsRefusedByObject("kinds"));
}

// INVARIANT(object-checked-after-look)
TEST_F(FileOpenerContentTest, ReadsNothingOfLargerFiles) {
  limits_.set_max_size(9);
  EXPECT_THAT(Read(limits_, "data/page", 0, 1), IsRefusedByObject("max_size"));
  limits_.set_max_size(10);
  EXPECT_THAT(Read(limits_, "data/page", 0, 1), Succeeds());
  // Whose content has no size before it is read.
  limits_.set_kernel_file_systems(1);
  limits_.add_paths("/proc/version");
  limits_.add_trusted_roots("/proc/version");
  EXPECT_THAT(Read(limits_, "/proc/version"), IsRefusedByObject("max_size"));
  EXPECT_THAT(Read(limits_, "/proc/version", 0, 10), Succeeds());
}

TEST_F(FileOpenerContentTest, WritesAtAnOffsetOrAtTheEnd) {
  EXPECT_THAT(Write(limits_, "data/page", v1::ACCESS_WRITE, 3, "abc"), Succeeds());
  EXPECT_EQ(ContentOf("data/page"), "012abc6789") << "and truncates nothing";
  EXPECT_THAT(Write(limits_, "data/page", v1::ACCESS_APPEND, 3, "end"), Succeeds());
  EXPECT_EQ(ContentOf("data/page"), "012abc6789end");
  EXPECT_THAT(Write(limits_, "data/page", v1::ACCESS_WRITE, 14, "x"), Succeeds());
  EXPECT_EQ(ContentOf("data/page"), std::string("012abc6789end\0x", 15));
  EXPECT_THAT(Write(limits_, "data/absent", v1::ACCESS_WRITE, 0, "x"),
              HasCode(StatusCode::NOT_FOUND));
  for (const v1::Access access : {v1::ACCESS_READ, v1::ACCESS_READ_WRITE}) {
    EXPECT_THAT(Write(limits_, "data/page", access, 0, "x"), HasCode(StatusCode::INVALID_ARGUMENT));
  }
}

TEST_F(FileOpenerContentTest, MakesNoFileLargerThanTheLimits) {
  limits_.set_max_size(12);
  EXPECT_THAT(Write(limits_, "data/page", v1::ACCESS_WRITE, 10, "ab"), Succeeds());
  EXPECT_THAT(Write(limits_, "data/page", v1::ACCESS_WRITE, 11, "ab"),
              IsRefusedByObject("max_size"));
  EXPECT_THAT(Write(limits_, "data/page", v1::ACCESS_APPEND, 0, "x"),
              IsRefusedByObject("max_size"));
  limits_.set_max_size(kAnySize);
  for (const uint64_t offset : {std::numeric_limits<uint64_t>::max(), uint64_t{1} << 63}) {
    EXPECT_THAT(Write(limits_, "data/page", v1::ACCESS_WRITE, offset, "x"),
                IsRefusedByObject("max_size"));
  }
  EXPECT_EQ(ContentOf("data/page"), "0123456789ab");
}

TEST_F(FileOpenerContentTest, WritesNoMoreThanAMessageHolds) {
  limits_.set_max_size(kAnySize);
  EXPECT_THAT(Write(limits_, "data/page", v1::ACCESS_WRITE, 0, std::string(kMaxPiece, 'x')),
              Succeeds());
  EXPECT_THAT(Write(limits_, "data/page", v1::ACCESS_WRITE, 0, std::string(kMaxPiece + 1, 'x')),
              IsRefusedByName("content"));
}

TEST_F(FileOpenerContentTest, WritesNoSetIdFile) {
  ASSERT_EQ(chmod(Path("data/page").c_str(), 04755), 0);
  EXPECT_THAT(Write(limits_, "data/page", v1::ACCESS_WRITE, 0, "x"), IsRefusedByObject("kinds"));
}

// Where the kernel would end the service process with SIGXFSZ.
TEST_F(FileOpenerContentTest, IsNotEndedByTheHostsBoundOfFiles) {
  rlimit before = {};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  const rlimit few = {12, before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &few), 0);
  const auto fits = Write(limits_, "data/page", v1::ACCESS_WRITE, 11, "x");
  const auto does_not = Write(limits_, "data/page", v1::ACCESS_WRITE, 12, "x");
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
  EXPECT_THAT(fits, Succeeds());
  EXPECT_THAT(does_not, HasCode(StatusCode::RESOURCE_EXHAUSTED));
}

}  // namespace
}  // namespace capbroker::file
