#include "base/cgroup_for_test.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <random>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/time/time.h"

namespace capbroker::testing {
namespace {

std::vector<std::string> Mounts() {
  std::vector<std::string> points;
  std::ifstream mounts("/proc/self/mountinfo");
  for (std::string line; std::getline(mounts, line);) {
    const std::vector<std::string> fields = absl::StrSplit(line, ' ');
    if (absl::StrContains(line, " - cgroup2 ") && fields.size() > 5) points.push_back(fields[4]);
  }
  return points;
}

// Empty, with errno: it may not.
std::string MountHere() {
  const char* const folder = getenv("TEST_TMPDIR");
  std::string point = absl::StrCat(folder == nullptr ? "/tmp" : folder, "/cgroup-XXXXXX");
  if (mkdtemp(point.data()) == nullptr || unshare(CLONE_NEWNS | CLONE_NEWCGROUP) != 0 ||
      mount("", "/", "", MS_REC | MS_PRIVATE, nullptr) != 0 ||
      mount("cgroup2", point.c_str(), "cgroup2", 0, nullptr) != 0) {
    return "";
  }
  return point;
}

}  // namespace

CgroupForTest::CgroupForTest() {
  for (const std::string& point : Mounts()) {
    if (MakeBeneath(point)) return;
  }
  const std::string point = MountHere();
  if (point.empty()) {
    why_not_ = absl::StrCat("cannot mount cgroup2: ", strerror(errno));
  } else {
    (void)MakeBeneath(point);
  }
}

CgroupForTest::~CgroupForTest() {
  if (cgroup_.valid()) (void)parent_.RemoveChild(name_, absl::Seconds(5));
}

bool CgroupForTest::MakeBeneath(const std::string& parent) {
  absl::StatusOr<Cgroup> opened = Cgroup::Open(parent);
  if (!opened.ok()) return false;
  // Not the pid: other tests may have the same in namespaces of theirs.
  name_ = absl::StrCat("capbroker-test-", absl::Hex(std::random_device()(), absl::kZeroPad8));
  absl::StatusOr<Cgroup> made = opened->MakeChild(name_);
  if (!made.ok()) {
    why_not_ = absl::StrCat(parent, ": ", made.status().message());
    return false;
  }
  parent_ = *std::move(opened);
  cgroup_ = *std::move(made);
  path_ = absl::StrCat(parent, "/", name_);
  return true;
}

std::string CgroupForTest::Lacks(const std::vector<std::string>& controllers) const {
  const auto available = cgroup_.AvailableControllers();
  if (!available.ok()) return std::string(available.status().message());
  for (const std::string& controller : controllers) {
    if (std::find(available->begin(), available->end(), controller) == available->end()) {
      return absl::StrCat("no ", controller,
                          " controller here, but: ", absl::StrJoin(*available, " "));
    }
  }
  return "";
}

}  // namespace capbroker::testing
