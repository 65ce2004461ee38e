// Landlock: a domain in which nothing is allowed that the running kernel can
// forbid, but reading beneath the stated places and executing the stated files.
//
// Rules hold for inodes, so a ruleset made in the zygote still means the same
// files in a worker's mount namespace.
//
// Lives in: the zygote (making rulesets), init and worker (entering them), service processes
// (both).
#ifndef SANDBOX_LAYERS_LANDLOCK_H_
#define SANDBOX_LAYERS_LANDLOCK_H_

#include <cstdint>

#include "base/file_grant.h"
#include "base/unique_fd.h"
#include "sandbox/step_result.h"

namespace capbroker::sandbox {

// The ABI of the running kernel; 0 if it has no Landlock or it is switched off.
int LandlockAbi();

// A ruleset that denies everything which the kernel can deny: files, TCP ports,
// and signals and abstract sockets to outside of the domain. Newer kernels'
// rights are denied, too, without being known here.
// `open_tcp`: but all TCP ports, for who may have all of them.
struct OpenTcp {
  bool connects = false;
  bool binds = false;
};
StepResult MakeDenyAllRuleset(UniqueFd& ruleset, OpenTcp open_tcp = {});

// Lets the domain do with the files at and beneath `place` what `access` (of FileAccess) says. To
// map a file as code it must be read, not executed.
StepResult AllowFiles(FdRef ruleset, FdRef place, unsigned access);

// Lets the domain open devices at and beneath `place` such that their holders may control them. The
// right stays with what was opened: without it, a terminal that is handed on is none.
StepResult AllowDeviceControl(FdRef ruleset, FdRef place);

// Lets the domain connect to that TCP port of any host.
StepResult AllowTcpConnect(FdRef ruleset, uint16_t port);
// Lets it bind sockets to that TCP port of this host; 0: to one that the system chooses.
StepResult AllowTcpBind(FdRef ruleset, uint16_t port);

// Lets the domain execute and read the file `program`. A file without a place
// in a file system (a memfd) needs no rule.
StepResult AllowExecute(FdRef ruleset, FdRef program);

// Enters a domain nested in the present one. Needs no_new_privs.
StepResult EnterLandlockDomain(FdRef ruleset);

}  // namespace capbroker::sandbox

#endif  // SANDBOX_LAYERS_LANDLOCK_H_
