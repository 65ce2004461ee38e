// Kinds of hosts, for stage.h: each makes the present process live as on such a host, for good, and
// is false if that cannot be had here.
//
// Lives in: a stage's process, before anything else there. Single-threaded.
#ifndef TESTS_HOSTILE_WORKER_HOSTS_H_
#define TESTS_HOSTILE_WORKER_HOSTS_H_

#include <sys/types.h>

namespace capbroker::hostile {

// Who AsOrdinaryUser...() becomes from now on: at first the user "nobody". The kernel counts the
// processes of a user, whichever test's they are.
void HaveOrdinaryUser(uid_t id);

bool AsRoot();
bool AsOrdinaryUser();
bool AsRootWithoutUserNamespaces();
bool AsOrdinaryUserWithoutUserNamespaces();
bool AsOrdinaryUserWithoutLandlock();
// Somebody outside answers system calls already: there can be only one listener.
bool AsRootWithoutReports();
// In a container of Docker's: its default profile of system calls and its default capabilities.
bool AsRootInDocker();
bool AsOrdinaryUserInDocker();
bool AsOrdinaryUserInDockerWithoutLandlock();

}  // namespace capbroker::hostile

#endif  // TESTS_HOSTILE_WORKER_HOSTS_H_
