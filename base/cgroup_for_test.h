// A cgroup (version 2) in which a test may make others. Tests only.
#ifndef BASE_CGROUP_FOR_TEST_H_
#define BASE_CGROUP_FOR_TEST_H_

#include <string>
#include <vector>

#include "base/cgroup.h"

namespace capbroker::testing {

// Beneath the root of all that is mounted, or mounted for this process in a mount namespace of its
// own, which needs a single thread. Removed at its end, with all that it holds.
class CgroupForTest {
 public:
  CgroupForTest();
  ~CgroupForTest();
  CgroupForTest(const CgroupForTest&) = delete;
  CgroupForTest& operator=(const CgroupForTest&) = delete;

  // Empty: there is none, and
  const std::string& path() const { return path_; }
  // why.
  const std::string& why_not() const { return why_not_; }
  const Cgroup& cgroup() const { return cgroup_; }
  // Empty if it can have all of `controllers`, or what is missing.
  std::string Lacks(const std::vector<std::string>& controllers) const;

 private:
  bool MakeBeneath(const std::string& parent);

  Cgroup parent_;
  std::string name_;
  std::string path_;
  std::string why_not_;
  Cgroup cgroup_;
};

}  // namespace capbroker::testing

// In a test's body: skips it, with the reason.
#define SKIP_WITHOUT_CGROUP(place) \
  if ((place).path().empty()) GTEST_SKIP() << (place).why_not()
#define SKIP_WITHOUT_CONTROLLERS(place, ...) \
  SKIP_WITHOUT_CGROUP(place);                \
  if (const std::string lacks = (place).Lacks({__VA_ARGS__}); !lacks.empty()) GTEST_SKIP() << lacks

#endif  // BASE_CGROUP_FOR_TEST_H_
