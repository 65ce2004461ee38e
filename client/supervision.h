// What a worker's code may name, knowing of no broker: for libraries and programs that open files
// as any process does.
//
//   broker.Launch({.program = "/usr/bin/sort",
//                  .arguments = {"/srv/names"},
//                  .supervision = Supervision{.files = {FileGrant::ReadFile("/srv/names")}}});
//
//   broker.Launch({.program = "/usr/bin/curl",
//                  .arguments = {"https://www.example.org/"},
//                  .supervision = Supervision{
//                      .connections = {{"web", ConnectToHosts({"www.example.org"}, {"443"})}}}});
//
// A supervisor, a process of its own beside the worker, answers the system calls that name
// things (docs/design/supervisor.md). What is not granted fails with ENOTCAPABLE.
//
// Lives in: the application. Values.
#ifndef CLIENT_SUPERVISION_H_
#define CLIENT_SUPERVISION_H_

#include <string>
#include <vector>

#include "base/file_grant.h"
#include "client/grant.h"

namespace capbroker {

struct Supervision {
  // At most 64. The broker's user opens them: what it may not open, a grant does not give.
  std::vector<FileGrant> files = {};
  // How names that are not granted fail.
  Refusal refusal = Refusal::kNotCapable;
  // Whether it may fork, and execute what is granted for that. Then bounds of memory and CPU time
  // are each process's, unless the worker has a cgroup (BrokerOptions::cgroups); that of threads
  // bounds them all together.
  bool processes = false;
  // Where relative names start: absolute, without "." or "..". It gives nothing.
  std::string working_directory = "/";
  // What files that the worker creates do not allow (umask).
  unsigned file_mode_mask = 077;
  // Hosts to which the worker's code connects, by ConnectToHosts() of services/net/grants.h: names
  // with ports, one grant for each such pair of sets. Their names are among those of the worker's
  // grants, and they are revoked as these are. At most 8, and 16 with the worker's.
  std::vector<Grant> connections = {};
  // Where it may be a TCP server, by ListenAt() of services/net/grants.h. Otherwise as connections,
  // and counted with them.
  std::vector<Grant> servers = {};
};

}  // namespace capbroker

#endif  // CLIENT_SUPERVISION_H_
