#include "base/unique_fd.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <type_traits>
#include <utility>

#include "base/status_matchers.h"

namespace capbroker {
namespace {

bool IsOpen(int fd) { return fcntl(fd, F_GETFD) >= 0; }

TEST(UniqueFdTest, HasNoConversionToInt) {
  EXPECT_FALSE((std::is_convertible_v<UniqueFd, int>));
  EXPECT_FALSE((std::is_convertible_v<UniqueFd, bool>));
  EXPECT_FALSE((std::is_copy_constructible_v<UniqueFd>));
}

TEST(UniqueFdTest, ClosesAtTheEndOfItsScope) {
  int raw;
  {
    UniqueFd fd(open("/dev/null", O_RDONLY | O_CLOEXEC));
    raw = fd.get();
    ASSERT_TRUE(IsOpen(raw));
  }
  EXPECT_FALSE(IsOpen(raw));
}

TEST(UniqueFdTest, MovingLeavesTheSourceEmpty) {
  UniqueFd first(open("/dev/null", O_RDONLY | O_CLOEXEC));
  const int raw = first.get();
  UniqueFd second = std::move(first);
  EXPECT_FALSE(first.valid());  // NOLINT(bugprone-use-after-move)
  EXPECT_EQ(second.get(), raw);
  EXPECT_TRUE(IsOpen(raw));
}

TEST(UniqueFdTest, ReleaseGivesUpOwnership) {
  int raw;
  {
    UniqueFd fd(open("/dev/null", O_RDONLY | O_CLOEXEC));
    raw = std::move(fd).Release();
  }
  EXPECT_TRUE(IsOpen(raw));
  close(raw);
}

TEST(UniqueFdTest, ClosingKeepsErrno) {
  UniqueFd fd(open("/dev/null", O_RDONLY | O_CLOEXEC));
  errno = ENOSPC;
  fd.Reset();
  EXPECT_EQ(errno, ENOSPC);
}

TEST(UniqueFdTest, DuplicatesAreCloseOnExecAndAboveStandardError) {
  UniqueFd fd(open("/dev/null", O_RDONLY | O_CLOEXEC));
  ASSERT_OK_AND_ASSIGN(UniqueFd copy, Duplicate(fd));
  EXPECT_GT(copy.get(), 2);
  EXPECT_EQ(fcntl(copy.get(), F_GETFD), FD_CLOEXEC);
}

TEST(UniqueFdTest, DuplicatingNothingIsInvalidArgument) {
  EXPECT_THAT(Duplicate(FdRef()), testing::StatusIs(absl::StatusCode::kInvalidArgument));
}

}  // namespace
}  // namespace capbroker
