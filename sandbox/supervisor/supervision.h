// What a supervised worker is started with: the names that its code may use, knowing of no broker.
//
// Values, and descriptors. Any process.
#ifndef SANDBOX_SUPERVISOR_SUPERVISION_H_
#define SANDBOX_SUPERVISOR_SUPERVISION_H_

#include <string>
#include <vector>

#include "base/file_grant.h"
#include "base/unique_fd.h"
#include "sandbox/supervisor/outside.h"

namespace capbroker::sandbox {

struct Supervision {
  // At most kMostGrants.
  std::vector<FileGrant> files;
  // What the worker is told of a name that is not granted.
  Refusal refusal = Refusal::kNotCapable;
  // Whether it may fork, and execute what is granted for that. Then bounds of memory and CPU time
  // are each process's; that of threads bounds them all together.
  bool processes = false;
  // Where its relative names start, in normal form. A name, which gives nothing.
  std::string working_directory = "/";
  // What files that it creates do not allow (umask).
  unsigned file_mode_mask = 077;
  // The supervisor writes what was named, and how that went, here (journal.h): a seqpacket socket.
  // Whoever does not read stops the worker. May be left out.
  UniqueFd journal;
  // Whether what was allowed is written there, too, and not only refusals.
  bool journal_tells_allowed = false;
  // Channels by which the supervisor connects and listens for the worker (outside.h), at most
  // kMostOutsideChannels, and what speaks to them: as a rule RegisteredOutside(). Without any the
  // worker makes no socket, and without one that listens it accepts nobody.
  OutsideChannels outside;
  MakeOutside make_outside = nullptr;
};

}  // namespace capbroker::sandbox

#endif  // SANDBOX_SUPERVISOR_SUPERVISION_H_
