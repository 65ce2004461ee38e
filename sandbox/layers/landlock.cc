#include "sandbox/layers/landlock.h"

#include <linux/landlock.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>

namespace capbroker::sandbox {
namespace {

// linux/landlock.h of Linux 6.12; older headers end after the first field.
struct RulesetAttributes {
  uint64_t handled_access_fs = 0;
  uint64_t handled_access_net = 0;
  uint64_t scoped = 0;
};

constexpr uint64_t kBindTcp = uint64_t{1} << 0;
constexpr uint64_t kConnectTcp = uint64_t{1} << 1;

long CreateRuleset(const RulesetAttributes& attributes) {
  // A kernel that does not know the later fields takes them if they are zero.
  return syscall(SYS_landlock_create_ruleset, &attributes, sizeof attributes, 0);
}

// The kernel refuses bits that it does not know, and its bits are always the
// lowest n: the largest n that it takes is everything that it can deny.
uint64_t AllKnownBits(uint64_t RulesetAttributes::*field, uint64_t first_abi_fs) {
  for (int n = 40; n > 0; --n) {
    RulesetAttributes attributes;
    attributes.handled_access_fs = first_abi_fs;
    attributes.*field = (uint64_t{1} << n) - 1;
    const UniqueFd ruleset(static_cast<int>(CreateRuleset(attributes)));
    if (ruleset.valid()) return attributes.*field;
  }
  return 0;
}

// Everything that the kernel can deny. Found out once: it takes a hundred calls.
const RulesetAttributes& Everything() {
  static const RulesetAttributes everything = [] {
    constexpr uint64_t kOne = LANDLOCK_ACCESS_FS_EXECUTE;
    RulesetAttributes known;
    known.handled_access_fs = AllKnownBits(&RulesetAttributes::handled_access_fs, kOne);
    known.handled_access_net = AllKnownBits(&RulesetAttributes::handled_access_net, kOne);
    known.scoped = AllKnownBits(&RulesetAttributes::scoped, kOne);
    return known;
  }();
  return everything;
}

StepResult AddRule(FdRef ruleset, FdRef place, uint64_t access) {
  landlock_path_beneath_attr rule = {};
  rule.allowed_access = access;
  rule.parent_fd = place.get();
  return syscall(SYS_landlock_add_rule, ruleset.get(), LANDLOCK_RULE_PATH_BENEATH, &rule, 0) == 0
             ? Done()
             : FailedWithErrno(Step::kLandlock);
}

StepResult AddPortRule(FdRef ruleset, uint16_t port, uint64_t access) {
  // linux/landlock.h since ABI 4.
  const struct {
    uint64_t allowed_access;
    uint64_t port;
  } rule = {access, port};
  constexpr int kRuleNetPort = 2;
  if (LandlockAbi() < 4) return Done();
  return syscall(SYS_landlock_add_rule, ruleset.get(), kRuleNetPort, &rule, 0) == 0
             ? Done()
             : FailedWithErrno(Step::kLandlock);
}

}  // namespace

int LandlockAbi() {
  const long abi =
      syscall(SYS_landlock_create_ruleset, nullptr, 0, LANDLOCK_CREATE_RULESET_VERSION);
  return abi < 0 ? 0 : static_cast<int>(abi);
}

StepResult MakeDenyAllRuleset(UniqueFd& ruleset, OpenTcp open_tcp) {
  RulesetAttributes attributes = Everything();
  if (open_tcp.connects) attributes.handled_access_net &= ~kConnectTcp;
  if (open_tcp.binds) attributes.handled_access_net &= ~kBindTcp;
  ruleset.Reset(static_cast<int>(CreateRuleset(attributes)));
  return ruleset.valid() ? Done() : FailedWithErrno(Step::kLandlock);
}

StepResult AllowFiles(FdRef ruleset, FdRef place, unsigned access) {
  constexpr uint64_t kRefer = uint64_t{1} << 13;
  constexpr uint64_t kTruncate = uint64_t{1} << 14;
  struct stat status;
  if (fstat(place.get(), &status) != 0) return FailedWithErrno(Step::kLandlock);
  const bool directory = S_ISDIR(status.st_mode);
  uint64_t rights = 0;
  if ((access & kReadFiles) != 0) {
    rights |= LANDLOCK_ACCESS_FS_READ_FILE | (directory ? LANDLOCK_ACCESS_FS_READ_DIR : 0);
  }
  if ((access & kWriteFiles) != 0) {
    // Kernels that cannot forbid truncation take no rule about it.
    rights |= LANDLOCK_ACCESS_FS_WRITE_FILE | (LandlockAbi() >= 3 ? kTruncate : 0);
  }
  if ((access & kCreateFiles) != 0 && directory) {
    rights |= LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_DIR |
              LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR |
              // Before it, nothing is renamed from one directory into another.
              (LandlockAbi() >= 2 ? kRefer : 0);
  }
  return rights == 0 ? Done() : AddRule(ruleset, place, rights);
}

StepResult AllowDeviceControl(FdRef ruleset, FdRef place) {
  constexpr uint64_t kControlDevices = uint64_t{1} << 15;
  return LandlockAbi() >= 5 ? AddRule(ruleset, place, kControlDevices) : Done();
}

StepResult AllowTcpConnect(FdRef ruleset, uint16_t port) {
  return AddPortRule(ruleset, port, kConnectTcp);
}

StepResult AllowTcpBind(FdRef ruleset, uint16_t port) {
  return AddPortRule(ruleset, port, kBindTcp);
}

StepResult AllowExecute(FdRef ruleset, FdRef program) {
  const StepResult result =
      AddRule(ruleset, program, LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_EXECUTE);
  return result.error_number == EBADFD ? Done() : result;
}

StepResult EnterLandlockDomain(FdRef ruleset) {
  return syscall(SYS_landlock_restrict_self, ruleset.get(), 0) == 0
             ? Done()
             : FailedWithErrno(Step::kLandlock);
}

}  // namespace capbroker::sandbox
