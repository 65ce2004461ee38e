#include "sandbox/supervisor/granted_places.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"

namespace capbroker::sandbox {
namespace {

using Components = std::vector<absl::string_view>;

Components Split(absl::string_view name) {
  return absl::StrSplit(name, '/',
                        [](absl::string_view part) { return !part.empty() && part != "."; });
}

// Without "..", by the text alone.
Components Normal(absl::string_view name) {
  Components normal;
  for (const absl::string_view component : Split(name)) {
    if (component != "..") {
      normal.push_back(component);
    } else if (!normal.empty()) {
      normal.pop_back();
    }
  }
  return normal;
}

// The first of `rest` at which the text leaves the place where `rest` starts; its size if none.
size_t FirstClimbOut(const Components& rest, size_t from) {
  size_t depth = 0;
  for (size_t i = from; i < rest.size(); ++i) {
    if (rest[i] != "..") {
      ++depth;
    } else if (depth-- == 0) {
      return i;
    }
  }
  return rest.size();
}

// How much of `name` leads to `place`, if it leads there and stays.
std::optional<size_t> Lead(const Components& name, const std::vector<std::string>& place) {
  // Of where the text has come: how many components that has, and as how many `place` begins with.
  size_t depth = 0, common = 0;
  for (size_t i = 0;; ++i) {
    if (depth == place.size() && common == depth) {
      const size_t climb = FirstClimbOut(name, i);
      if (climb == name.size()) return i;
      // Up to the climb the text comes back to the place itself.
      i = climb;
    }
    if (i == name.size()) return std::nullopt;
    if (name[i] == "..") {
      depth -= depth == 0 ? 0 : 1;
      common = std::min(common, depth);
    } else {
      if (common == depth && depth < place.size() && name[i] == place[depth]) ++common;
      ++depth;
    }
  }
}

bool EndsAsDirectory(absl::string_view name) {
  return absl::EndsWith(name, "/") || absl::EndsWith(name, "/.");
}

}  // namespace

GrantedPlaces::GrantedPlaces(std::vector<GrantedPlace> places) : places_(std::move(places)) {
  std::stable_sort(
      places_.begin(), places_.end(),
      [](const GrantedPlace& a, const GrantedPlace& b) { return a.path.size() > b.path.size(); });
  for (const GrantedPlace& place : places_) {
    const Components components = Split(place.path);
    components_.emplace_back(components.begin(), components.end());
  }
}

// TRUST(worker): `name` is what the worker wrote.
std::vector<Location> GrantedPlaces::Find(absl::string_view name) const {
  const Components components = Split(name);
  std::vector<Location> found;
  for (size_t i = 0; i < places_.size(); ++i) {
    const std::optional<size_t> lead = Lead(components, components_[i]);
    if (!lead.has_value()) continue;
    std::string beneath =
        absl::StrJoin(components.begin() + static_cast<long>(*lead), components.end(), "/");
    if (places_[i].is_file()) {
      // A slash or more behind a file: the kernel says what is wrong with it.
      if (!beneath.empty()) beneath.insert(0, "/");
      beneath.insert(0, places_[i].leaf);
    } else if (beneath.empty()) {
      beneath = ".";
    }
    if (EndsAsDirectory(name)) beneath.push_back('/');
    found.push_back({&places_[i], std::move(beneath)});
  }
  return found;
}

bool GrantedPlaces::IsAbove(absl::string_view name) const {
  const Components normal = Normal(name);
  return std::any_of(components_.begin(), components_.end(), [&](const auto& place) {
    return normal.size() < place.size() && std::equal(normal.begin(), normal.end(), place.begin());
  });
}

std::string NormalName(absl::string_view name) {
  return absl::StrCat("/", absl::StrJoin(Normal(name), "/"));
}

}  // namespace capbroker::sandbox
