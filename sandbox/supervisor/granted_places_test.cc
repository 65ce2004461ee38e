#include "sandbox/supervisor/granted_places.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_join.h"
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

bool ClimbsOut(const std::vector<std::string>& components) {
  int depth = 0;
  return std::any_of(components.begin(), components.end(), [&](const std::string& component) {
    depth += component == ".." ? -1 : 1;
    return depth < 0;
  });
}

// The first part of the text that is the place itself, if the rest stays there.
TEST(GrantedPlacesTest, FindsOfEveryTextWhatIsMeant) {
  const std::vector<std::string> paths = {"/a", "/a/b", "/a/a", "/b/a/b"};
  const std::vector<std::string> alphabet = {"a", "b", "c", ".."};
  std::vector<std::vector<std::string>> names = {{}};
  for (size_t i = 0; i < names.size(); ++i) {
    const std::vector<std::string> components = names[i];
    const std::string name = "/" + absl::StrJoin(components, "/");
    for (const std::string& path : paths) {
      std::vector<std::string> expected;
      for (auto at = components.begin(); at <= components.end() && expected.empty(); ++at) {
        const std::string beneath = absl::StrJoin(at, components.end(), "/");
        if (NormalName("/" + absl::StrJoin(components.begin(), at, "/")) != path) continue;
        if (ClimbsOut({at, components.end()})) continue;
        expected.push_back(path + ": " + (beneath.empty() ? "." : beneath));
      }
      EXPECT_EQ(Find(Places({{path.c_str(), ""}}), name), expected) << name << " at " << path;
    }
    if (components.size() == 6) continue;
    for (const std::string& component : alphabet) {
      names.push_back(components);
      names.back().push_back(component);
    }
  }
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
