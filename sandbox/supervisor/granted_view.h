// Walks the paths of a worker's grants, once, before it starts.
//
// With a mount namespace each grant becomes a mount of its own, which hangs nowhere: ".." ends
// at its root whoever walks, nothing on it can be mapped as code, what is granted for reading is
// read-only, and devices do not work. Without one the host's directories are used as they are,
// and only how the supervisor walks, and Landlock, keep to them.
//
// Lives in: the init, before it gives its rights up. Not in the zygote: a file system that does
// not answer must stop one worker and not the maker of all.
#ifndef SANDBOX_SUPERVISOR_GRANTED_VIEW_H_
#define SANDBOX_SUPERVISOR_GRANTED_VIEW_H_

#include <vector>

#include "base/file_grant.h"
#include "base/unique_fd.h"
#include "sandbox/layers/root_view.h"
#include "sandbox/step_result.h"
#include "sandbox/supervisor/granted_places.h"

namespace capbroker::sandbox {

// Landlock's rules of both: the supervisor's hold for the worker as well.
struct GrantRulesets {
  FdRef supervisor;
  FdRef worker;  // what it executes is opened by the kernel in its own domain
};

// Appends a place for each of `grants`, and allows it. `own_mounts`: the process may mount, in a
// namespace of its own.
StepResult OpenGrants(const std::vector<FileGrant>& grants, bool own_mounts,
                      const GrantRulesets& rulesets, std::vector<GrantedPlace>& places);

// What an executed program sees: `program_places`, and what is granted for being executed.
std::vector<ProgramPlace> ProgramView(const std::vector<ProgramPlace>& program_places,
                                      const std::vector<FileGrant>& grants);

// The same for what an executed program sees, under its rules that exist already. Caller: in
// the worker's root.
StepResult OpenProgramPlaces(const std::vector<ProgramPlace>& program_places,
                             std::vector<GrantedPlace>& places);

}  // namespace capbroker::sandbox

#endif  // SANDBOX_SUPERVISOR_GRANTED_VIEW_H_
