#include "authority/path_set.h"

#include <string>
#include <vector>

#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace capbroker::authority {
namespace {

using ::capbroker::testing::StatusIs;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

PathSet Paths(const std::vector<std::string>& paths) { return PathSet::Make(paths).value(); }

std::vector<std::string> NotNormal() {
  return {"",
          "a",
          "a/b",
          "./a",
          "//",
          "//a",
          "/a//b",
          "/.",
          "/..",
          "/a/.",
          "/a/..",
          "/a/./b",
          "/a/../b",
          "/../etc",
          "/./a",
          std::string("/a\0", 3),
          std::string("/a\0/b", 5),
          "/" + std::string(4095, 'a')};
}

TEST(PathSetTest, EmptyAllowsNothing) {
  EXPECT_FALSE(PathSet().Allows("/"));
  EXPECT_FALSE(PathSet().Allows("/a"));
  EXPECT_FALSE(PathSet().Allows(""));
  EXPECT_TRUE(Paths({}).empty());
}

TEST(PathSetTest, APathAllowsItselfAlone) {
  const PathSet paths = Paths({"/srv/a"});
  EXPECT_TRUE(paths.Allows("/srv/a"));
  EXPECT_FALSE(paths.Allows("/srv/a/b"));
  EXPECT_FALSE(paths.Allows("/srv/ab"));
  EXPECT_FALSE(paths.Allows("/srv"));
  EXPECT_FALSE(paths.Allows("/"));
}

TEST(PathSetTest, ADirectoryAllowsItselfAndAllBeneath) {
  const PathSet paths = Paths({"/srv/a/"});
  EXPECT_TRUE(paths.Allows("/srv/a"));
  EXPECT_TRUE(paths.Allows("/srv/a/b"));
  EXPECT_TRUE(paths.Allows("/srv/a/b/c"));
  EXPECT_FALSE(paths.Allows("/srv/ab"));
  EXPECT_FALSE(paths.Allows("/srv"));
  EXPECT_FALSE(paths.Allows("/"));
}

TEST(PathSetTest, RootAllowsEveryNormalPathAndNoOther) {
  const PathSet paths = Paths({"/"});
  EXPECT_TRUE(paths.Allows("/"));
  EXPECT_TRUE(paths.Allows("/a/b"));
  EXPECT_TRUE(paths.Allows("/..."));
  EXPECT_TRUE(paths.Allows("/a/.b"));
  for (const std::string& path : NotNormal()) EXPECT_FALSE(paths.Allows(path)) << path;
  EXPECT_FALSE(paths.Allows("/a/"));
}

TEST(PathSetTest, DeniesWhatOnlyLooksBeneath) {
  const PathSet paths = Paths({"/srv/a/", "/a/"});
  for (const char* path : {"/srv/a/../../etc/passwd", "/srv/a/./b", "/srv/a//b", "/srv/a/",
                           "/srv/a/b/", "/srv/a/..", "srv/a/b"}) {
    EXPECT_FALSE(paths.Allows(path)) << path;
  }
  for (const std::string& path : NotNormal()) EXPECT_FALSE(paths.Allows(path)) << path;
}

TEST(PathSetTest, MalformedEntriesAreRefused) {
  for (const std::string& path : NotNormal()) {
    EXPECT_THAT(PathSet::Make({path}), StatusIs(absl::StatusCode::kInvalidArgument)) << path;
    // With everything beside it, too.
    EXPECT_THAT(PathSet::Make({"/", path}), StatusIs(absl::StatusCode::kInvalidArgument)) << path;
  }
}

TEST(PathSetTest, HasOneCanonicalForm) {
  EXPECT_THAT(Paths({"/b", "/a", "/b"}).Entries(), ElementsAre("/a", "/b"));
  EXPECT_THAT(Paths({"/a/b/c/", "/a/b", "/a/b/", "/a/b/d", "/a/bc", "/a/bc/"}).Entries(),
              ElementsAre("/a/b/", "/a/bc/"));
  EXPECT_THAT(Paths({"/a", "/", "/b/"}).Entries(), ElementsAre("/"));
  EXPECT_EQ(Paths({"/a/b/", "/a/"}), Paths({"/a/"}));
}

TEST(PathSetTest, MeetIsWhatBothAllow) {
  EXPECT_THAT(Meet(Paths({"/a/"}), Paths({"/a/b/", "/a/c", "/a", "/ab"})).Entries(),
              ElementsAre("/a", "/a/b/", "/a/c"));
  EXPECT_THAT(Meet(Paths({"/a/"}), Paths({"/"})).Entries(), ElementsAre("/a/"));
  EXPECT_THAT(Meet(Paths({"/a/"}), Paths({"/a/"})).Entries(), ElementsAre("/a/"));
  EXPECT_THAT(Meet(Paths({"/a/b/"}), Paths({"/a/c/", "/a"})).Entries(), IsEmpty());
}

TEST(PathSetTest, TellsWhichEntryCoversAPath) {
  const PathSet paths = Paths({"/srv/a/", "/srv/b/c", "/srv/a/d/"});
  std::optional<PathSet::Coverage> cover = paths.Cover("/srv/a/d/e");
  ASSERT_TRUE(cover.has_value());
  EXPECT_EQ(cover->root, "/srv/a");
  EXPECT_TRUE(cover->directory);
  EXPECT_EQ(cover->beneath, "d/e");

  cover = paths.Cover("/srv/a");
  ASSERT_TRUE(cover.has_value());
  EXPECT_EQ(cover->root, "/srv/a");
  EXPECT_TRUE(cover->directory);
  EXPECT_EQ(cover->beneath, "");

  cover = paths.Cover("/srv/b/c");
  ASSERT_TRUE(cover.has_value());
  EXPECT_EQ(cover->root, "/srv/b/c");
  EXPECT_FALSE(cover->directory);
  EXPECT_EQ(cover->beneath, "");

  EXPECT_FALSE(paths.Cover("/srv/b").has_value());
  EXPECT_FALSE(paths.Cover("/srv/a/../b").has_value());
}

TEST(PathSetTest, RootCoversEverythingBeneathItself) {
  const PathSet paths = Paths({"/"});
  std::optional<PathSet::Coverage> cover = paths.Cover("/a/b");
  ASSERT_TRUE(cover.has_value());
  EXPECT_EQ(cover->root, "/");
  EXPECT_TRUE(cover->directory);
  EXPECT_EQ(cover->beneath, "a/b");
  cover = paths.Cover("/");
  ASSERT_TRUE(cover.has_value());
  EXPECT_EQ(cover->beneath, "");
}

TEST(PathSetTest, ManyNeighboursAreKeptApart) {
  std::vector<std::string> entries;
  for (int i = 0; i < 2000; ++i) {
    entries.push_back("/srv/" + std::to_string(i) + (i % 2 == 0 ? "/" : ""));
  }
  const PathSet paths = Paths(entries);
  for (int i = 0; i < 2000; ++i) {
    const std::string path = "/srv/" + std::to_string(i);
    EXPECT_TRUE(paths.Allows(path)) << path;
    EXPECT_EQ(paths.Allows(path + "/x"), i % 2 == 0) << path;
  }
  EXPECT_FALSE(paths.Allows("/srv/2000"));
  EXPECT_EQ(paths.Entries().size(), 2000u);
}

}  // namespace
}  // namespace capbroker::authority
