// Where resolution of a granted path starts, and what bounds it.
#include "services/file/route.h"

#include <fcntl.h>

#include <string>

#include "base/status_matchers.h"
#include "gtest/gtest.h"
#include "services/file/file_limits.h"
#include "services/file/file_opener_fixture.h"

namespace capbroker::file {
namespace {

using ::capbroker::testing::StatusIs;

class RouteTest : public FileOpenerFixture {
 protected:
  static absl::StatusOr<Route> Plan(const std::vector<std::string>& paths,
                                    const std::vector<std::string>& roots, absl::string_view path) {
    v1::FileOpenerLimits limits;
    for (const std::string& entry : paths) limits.add_paths(entry);
    for (const std::string& root : roots) limits.add_trusted_roots(root);
    return Route::Plan(*Compile(limits), path);
  }
};

TEST_F(RouteTest, TheCoveringEntryIsTheBase) {
  ASSERT_OK_AND_ASSIGN(const Route route, Plan({"/srv/", "/etc/hosts"}, {}, "/srv/a/b"));
  EXPECT_EQ(route.base_path(), "/srv");
  EXPECT_EQ(route.beneath(), "a/b");
  EXPECT_TRUE(route.directory());
  ASSERT_OK_AND_ASSIGN(const Route exact, Plan({"/srv/", "/etc/hosts"}, {}, "/etc/hosts"));
  EXPECT_EQ(exact.base_path(), "/etc/hosts");
  EXPECT_EQ(exact.beneath(), "");
  EXPECT_FALSE(exact.directory());
}

TEST_F(RouteTest, ATrustedRootBelowTheEntryIsTheBase) {
  ASSERT_OK_AND_ASSIGN(const Route route, Plan({"/srv/"}, {"/srv/", "/srv/a/"}, "/srv/a/b"));
  EXPECT_EQ(route.base_path(), "/srv/a");
  EXPECT_EQ(route.beneath(), "b");
  ASSERT_OK_AND_ASSIGN(const Route other, Plan({"/srv/"}, {"/srv/", "/srv/a/"}, "/srv/ab"));
  EXPECT_EQ(other.base_path(), "/srv");
}

TEST_F(RouteTest, ATrustedRootAboveTheEntryIsNotTheBase) {
  for (const char* root : {"/", "/srv/"}) {
    ASSERT_OK_AND_ASSIGN(const Route route, Plan({"/srv/a/"}, {root}, "/srv/a/b"));
    EXPECT_EQ(route.base_path(), "/srv/a");
    EXPECT_EQ(route.beneath(), "b");
  }
}

TEST_F(RouteTest, ATrustedRootGrantsNothing) {
  EXPECT_THAT(Plan({}, {"/srv/"}, "/srv/a"), StatusIs(absl::StatusCode::kPermissionDenied));
  EXPECT_THAT(Plan({"/srv/a"}, {"/srv/"}, "/srv/b"), StatusIs(absl::StatusCode::kPermissionDenied));
}

TEST_F(RouteTest, EverythingHasTheRootAsItsBase) {
  ASSERT_OK_AND_ASSIGN(const Route route, Plan({"/"}, {"/"}, "/a"));
  EXPECT_EQ(route.base_path(), "/");
  EXPECT_EQ(route.beneath(), "a");
  ASSERT_OK_AND_ASSIGN(const Route root, Plan({"/"}, {}, "/"));
  EXPECT_EQ(root.base_path(), "/");
  EXPECT_EQ(root.beneath(), "");
}

TEST_F(RouteTest, APathNotInNormalFormIsMalformed) {
  for (const std::string& path :
       {std::string(""), std::string("a"), std::string("/a/"), std::string("//a"),
        std::string("/a//b"), std::string("/."), std::string("/a/.."), std::string("/a\0b", 4),
        "/" + std::string(4095, 'a')}) {
    EXPECT_THAT(Plan({"/"}, {}, path), StatusIs(absl::StatusCode::kInvalidArgument)) << path;
  }
}

TEST_F(RouteTest, TheHelpersTrustWhatTheApplicationNames) {
  for (const v1::FileOpenerLimits& limits :
       {LimitsForReading({"/etc/hosts", "/srv/"}), LimitsForDirectory("/srv", DirectoryUse::kRead),
        LimitsForDirectory("/srv/", DirectoryUse::kReadAndWrite, 4096)}) {
    ASSERT_EQ(limits.paths_size(), limits.trusted_roots_size());
    const auto compiled = Compile(limits);
    EXPECT_TRUE(compiled->paths("paths").Allows("/srv/a"));
    EXPECT_OK(Route::Plan(*compiled, "/srv/a"));
    EXPECT_FALSE(compiled->paths("paths").Allows("/etc/passwd"));
  }
  EXPECT_FALSE(Compile(LimitsForDirectory("/srv", DirectoryUse::kRead))
                   ->SetContains("operations", v1::OPERATION_CREATE));
}

TEST_F(RouteTest, FindsTheDirectoryOfAnEntryThatIsNotThere) {
  MakeDirectory("data");
  MakeSymlink("data", "name");
  ASSERT_OK_AND_ASSIGN(const Route route,
                       Route::Plan(*Compile(Everything("name/")), Path("name/new")));
  ASSERT_OK_AND_ASSIGN(const Entry entry, route.FindEntry());
  EXPECT_EQ(entry.name, "new");
  EXPECT_EQ(StatusFlags(entry.directory) & O_PATH, O_PATH);
}

}  // namespace
}  // namespace capbroker::file
