#include "sandbox/supervisor/granted_places.h"

#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"

namespace capbroker::sandbox {
namespace {

GrantedPlaces Places(std::vector<std::pair<const char*, const char*>> paths_and_leaves) {
  std::vector<GrantedPlace> places;
  for (const auto& [path, leaf] : paths_and_leaves) {
    GrantedPlace place;
    place.path = path;
    place.leaf = leaf;
    places.push_back(std::move(place));
  }
  return GrantedPlaces(std::move(places));
}

// "/place: beneath" of each location.
std::vector<std::string> Find(const GrantedPlaces& places, const std::string& name) {
  std::vector<std::string> found;
  for (const Location& location : places.Find(name)) {
    found.push_back(location.place->path + ": " + location.beneath);
  }
  return found;
}
using Found = std::vector<std::string>;

TEST(GrantedPlacesTest, FindsWhatIsAtAndBeneathATree) {
  const GrantedPlaces places = Places({{"/srv/data", ""}});
  EXPECT_EQ(Find(places, "/srv/data"), Found{"/srv/data: ."});
  EXPECT_EQ(Find(places, "/srv/data/"), Found{"/srv/data: ./"});
  EXPECT_EQ(Find(places, "//srv/./data/a//b"), Found{"/srv/data: a/b"});
  EXPECT_EQ(Find(places, "/srv/data/a/"), Found{"/srv/data: a/"});
  EXPECT_EQ(Find(places, "/srv/data/a/."), Found{"/srv/data: a/"});
}

TEST(GrantedPlacesTest, FindsNothingElse) {
  const GrantedPlaces places = Places({{"/srv/data", ""}, {"/etc/hosts", "hosts"}});
  for (const char* name : {"/", "/srv", "/srv/dat", "/srv/data2", "/srv/other/data", "/data", "",
                           "/etc", "/etc/hosts2", "/..", "/../.."}) {
    EXPECT_EQ(Find(places, name), Found{}) << name;
  }
}

TEST(GrantedPlacesTest, LeavesDotDotWithinAPlaceToTheKernel) {
  const GrantedPlaces places = Places({{"/srv/data", ""}});
  EXPECT_EQ(Find(places, "/srv/data/a/../b"), Found{"/srv/data: a/../b"});
  EXPECT_EQ(Find(places, "/srv/data/a/.."), Found{"/srv/data: a/.."});
}

TEST(GrantedPlacesTest, TakesDotDotOutOfAPlaceByTheText) {
  const GrantedPlaces places = Places({{"/srv/data", ""}, {"/srv/other", ""}});
  EXPECT_EQ(Find(places, "/srv/data/../other/x"), Found{"/srv/other: x"});
  EXPECT_EQ(Find(places, "/srv/data/a/../../other/x"), Found{"/srv/other: x"});
  EXPECT_EQ(Find(places, "/srv/data/../data/x"), Found{"/srv/data: x"});
  EXPECT_EQ(Find(places, "/x/../srv/data/x"), Found{"/srv/data: x"});
  EXPECT_EQ(Find(places, "/../../srv/data/x"), Found{"/srv/data: x"});
  EXPECT_EQ(Find(places, "/srv/data/../secret"), Found{});
  EXPECT_EQ(Find(places, "/srv/data/.."), Found{});
}

TEST(GrantedPlacesTest, NamesTheNearestPlaceFirst) {
  const GrantedPlaces places = Places({{"/srv", ""}, {"/srv/data/out", ""}, {"/srv/data", ""}});
  EXPECT_EQ(Find(places, "/srv/data/out/x"),
            (Found{"/srv/data/out: x", "/srv/data: out/x", "/srv: data/out/x"}));
}

TEST(GrantedPlacesTest, TakesAFileByItsLeaf) {
  const GrantedPlaces places = Places({{"/etc/localtime", "UTC"}});
  EXPECT_EQ(Find(places, "/etc/localtime"), Found{"/etc/localtime: UTC"});
  EXPECT_EQ(Find(places, "/etc/localtime/"), Found{"/etc/localtime: UTC/"});
  EXPECT_EQ(Find(places, "/etc/localtime/x"), Found{"/etc/localtime: UTC/x"});
  EXPECT_EQ(Find(places, "/etc/localtime/../passwd"), Found{});
}

TEST(GrantedPlacesTest, GrantsTheWholeRoot) {
  const GrantedPlaces places = Places({{"/", ""}});
  EXPECT_EQ(Find(places, "/"), Found{"/: ./"});
  EXPECT_EQ(Find(places, "/etc/hosts"), Found{"/: etc/hosts"});
  EXPECT_EQ(Find(places, "/../etc"), Found{"/: etc"});
}

TEST(GrantedPlacesTest, KnowsWhatIsAbove) {
  const GrantedPlaces places = Places({{"/srv/data/x", ""}});
  for (const char* name : {"/", "/srv", "/srv/data", "/srv/data/", "/srv/data/x/..", "/a/../srv"}) {
    EXPECT_TRUE(places.IsAbove(name)) << name;
  }
  for (const char* name : {"/srv/data/x", "/sr", "/srv/other", "/srv/data/x/y"}) {
    EXPECT_FALSE(places.IsAbove(name)) << name;
  }
}

TEST(GrantedPlacesTest, NormalizesByTheText) {
  EXPECT_EQ(NormalName("/"), "/");
  EXPECT_EQ(NormalName("//a/./b/../c/"), "/a/c");
  EXPECT_EQ(NormalName("/../.."), "/");
}

}  // namespace
}  // namespace capbroker::sandbox
