// The C library's own protocol for names, as far as a supervisor speaks it.
//
// glibc asks a daemon at /var/run/nscd/socket before it looks into any file: for hosts, users,
// groups, services. One request on a connection: a header and a key; then one answer. Whoever
// answers there gives names to programs that know of nothing else, and to which no file is granted.
// The layouts are those of version 2 (nscd/nscd-client.h), unchanged since glibc 2.15.
//
// Lives in: the supervisor.
#ifndef SANDBOX_SUPERVISOR_NAME_REQUEST_H_
#define SANDBOX_SUPERVISOR_NAME_REQUEST_H_

#include <cstddef>
#include <optional>
#include <string>

#include "sandbox/supervisor/outside.h"

namespace capbroker::sandbox {

inline constexpr char kNameSocket[] = "/var/run/nscd/socket";
// A header, and the longest key.
inline constexpr size_t kMostRequestBytes = 12 + 1024;

struct NameReply {
  // The request is longer than what has come so far.
  bool incomplete = false;
  // Empty: the connection is closed without an answer.
  std::string bytes;
  std::optional<NamedHost> host;  // that was asked for
};

// Hosts are asked for outside; of everything else the answer is that nothing is known here, after
// which the C library looks into files.
NameReply AnswerNameRequest(const std::string& request, Outside& outside);

}  // namespace capbroker::sandbox

#endif  // SANDBOX_SUPERVISOR_NAME_REQUEST_H_
