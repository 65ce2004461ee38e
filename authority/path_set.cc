#include "authority/path_set.h"

#include <algorithm>
#include <cstring>

#include "absl/status/status.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace capbroker::authority {
namespace {

// The end of the component that starts at `start`.
size_t ComponentEnd(absl::string_view path, size_t start) {
  const void* const slash = std::memchr(path.data() + start, '/', path.size() - start);
  return slash == nullptr ? path.size() : static_cast<const char*>(slash) - path.data();
}

}  // namespace

// TRUST(worker): `path` is what a request holds.
bool IsNormalPath(absl::string_view path) {
  if (path.empty() || path.front() != '/' || path.size() > kMaxPathBytes) return false;
  if (std::memchr(path.data(), '\0', path.size()) != nullptr) return false;
  if (path.size() == 1) return true;
  for (size_t start = 1; start <= path.size();) {
    const size_t end = ComponentEnd(path, start);
    const absl::string_view component = path.substr(start, end - start);
    if (component.empty() || component == "." || component == "..") return false;
    start = end + 1;
  }
  return true;
}

size_t PathSet::StepHash::operator()(const Step& step) const {
  return SipHash13(ProcessHashKey(), step.component, step.from);
}
size_t PathSet::StepHash::operator()(const StepView& step) const {
  return SipHash13(ProcessHashKey(), step.second, step.first);
}

absl::StatusOr<PathSet> PathSet::Make(const std::vector<std::string>& paths) {
  PathSet set;
  std::vector<absl::string_view> exact;
  std::vector<absl::string_view> directories;
  for (const std::string& entry : paths) {
    if (entry == "/") {
      set.everything_ = true;
      continue;
    }
    absl::string_view path = entry;
    const bool directory = absl::EndsWith(path, "/");
    if (directory) path.remove_suffix(1);
    if (!IsNormalPath(path) || path == "/") {  // "/" is left of "//"
      return absl::InvalidArgumentError(absl::StrCat("\"", absl::CHexEscape(entry.substr(0, 64)),
                                                     "\" is not an absolute normal path"));
    }
    (directory ? directories : exact).push_back(path);
  }
  if (set.everything_) return set;
  // The shortest first, so that what an ancestor covers is not entered at all.
  std::sort(directories.begin(), directories.end(),
            [](absl::string_view a, absl::string_view b) { return a.size() < b.size(); });
  for (absl::string_view path : directories) {
    if (set.DirectoryRoot(path) == 0) set.InsertDirectory(path);
  }
  for (absl::string_view path : exact) {
    if (set.DirectoryRoot(path) == 0) set.exact_.emplace(path);
  }
  return set;
}

void PathSet::InsertDirectory(absl::string_view path) {
  uint32_t from = 0;
  for (size_t start = 1; start < path.size();) {
    const size_t end = ComponentEnd(path, start);
    const StepView step(from, path.substr(start, end - start));
    auto found = nodes_.find(step);
    if (found == nodes_.end()) {
      const Node node = {.id = static_cast<uint32_t>(nodes_.size() + 1)};
      found = nodes_.emplace(Step{from, std::string(step.second)}, node).first;
    }
    from = found->second.id;
    if (end == path.size()) found->second.granted = true;
    start = end + 1;
  }
  directories_.emplace(path);
}

size_t PathSet::DirectoryRoot(absl::string_view path) const {
  uint32_t from = 0;
  for (size_t start = 1; start < path.size();) {
    const size_t end = ComponentEnd(path, start);
    const auto found = nodes_.find(StepView(from, path.substr(start, end - start)));
    if (found == nodes_.end()) return 0;
    if (found->second.granted) return end;
    from = found->second.id;
    start = end + 1;
  }
  return 0;
}

bool PathSet::Allows(absl::string_view path) const {
  if (!IsNormalPath(path)) return false;
  return everything_ || (!nodes_.empty() && DirectoryRoot(path) != 0) ||
         (!exact_.empty() && exact_.contains(path));
}

std::optional<PathSet::Coverage> PathSet::Cover(absl::string_view path) const {
  if (!IsNormalPath(path)) return std::nullopt;
  if (everything_) {
    return Coverage{.root = path.substr(0, 1), .directory = true, .beneath = path.substr(1)};
  }
  if (const size_t size = DirectoryRoot(path); size != 0) {
    return Coverage{.root = path.substr(0, size),
                    .directory = true,
                    .beneath = path.substr(std::min(size + 1, path.size()))};
  }
  if (exact_.contains(path)) {
    return Coverage{.root = path, .directory = false, .beneath = path.substr(path.size())};
  }
  return std::nullopt;
}

std::vector<std::string> PathSet::Entries() const {
  if (everything_) return {"/"};
  std::vector<std::string> entries(exact_.begin(), exact_.end());
  for (const std::string& directory : directories_) entries.push_back(directory + "/");
  std::sort(entries.begin(), entries.end());
  return entries;
}

PathSet Meet(const PathSet& a, const PathSet& b) {
  if (a.everything_) return b;
  if (b.everything_) return a;
  // Two entries are disjoint, or one contains the other: so the meet is what each
  // side has that the other covers, and nothing in it covers anything else in it.
  PathSet meet;
  for (const auto& [mine, theirs] : {std::pair(&a, &b), std::pair(&b, &a)}) {
    for (const std::string& path : mine->directories_) {
      if (theirs->DirectoryRoot(path) != 0 && !meet.directories_.contains(path)) {
        meet.InsertDirectory(path);
      }
    }
    for (const std::string& path : mine->exact_) {
      if (theirs->exact_.contains(path) || theirs->DirectoryRoot(path) != 0) {
        meet.exact_.insert(path);
      }
    }
  }
  return meet;
}

}  // namespace capbroker::authority
