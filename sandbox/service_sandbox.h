// Confining a service process.
//
// A service process is forked from the zygote like a worker, but it does something for others,
// with some of the application's authority: files of its channel's limits, name servers. So it
// keeps the application's namespaces, and everything else is taken from it:
//
//   - no_new_privs, no capability but those that opening the user's files takes, where the
//     application is root; where it can assign ids and the service needs no file of the user's,
//     ids that own nothing;
//   - a Landlock domain of the files and TCP ports that it is to reach;
//   - a table of system calls (service_policy.h), with a listener that the zygote holds: a
//     violation is heard there, never answered, and ends the process.
//
// `Prepare` is called once for each service in the zygote, ahead of time; `Enter` in the process,
// once it is known what its channels may reach, before it has read any byte of theirs.
//
// Lives in: the zygote, and service processes. Both have one thread at that time.
#ifndef SANDBOX_SERVICE_SANDBOX_H_
#define SANDBOX_SERVICE_SANDBOX_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/unique_fd.h"
#include "sandbox/layers/layers.h"
#include "sandbox/policies/service_policy.h"

namespace capbroker::sandbox {

// Of whom a service process is, to files.
enum class ServiceIdentity {
  kNobody,  // nobody whose files matter, where the application may assign ids
  kUser,    // the application's user; root keeps its rights over files
};

class ServiceSandbox {
 public:
  // What the domain may reach.
  struct Reach {
    struct Place {
      std::string path;
      unsigned access = 0;  // of FileAccess
      bool devices = false;
    };
    std::vector<Place> places;
    std::vector<uint16_t> tcp_ports;
    bool all_tcp_ports = false;
    // To listen at.
    std::vector<uint16_t> tcp_server_ports;
    bool all_tcp_server_ports = false;
  };

  // INVALID_ARGUMENT: the table names a call that does not exist.
  static absl::StatusOr<ServiceSandbox> Prepare(const ServiceTable& table,
                                                ServiceIdentity identity);
  ServiceSandbox(ServiceSandbox&&) noexcept;
  ServiceSandbox& operator=(ServiceSandbox&&) noexcept;
  ~ServiceSandbox();

  // What Enter() puts in force: every layer that the host offers. Violations are not reported
  // where an outer sandbox has the one listener that there can be.
  LayerSet layers() const;

  // Confines the calling process. The listener goes into `hand_over`, a socket. After an error the
  // process must end.
  absl::Status Enter(const Reach& reach, FdRef hand_over) const;

 private:
  struct State;
  explicit ServiceSandbox(std::unique_ptr<State> state);
  std::unique_ptr<const State> state_;
};

// Empties the bounding set of the calling process, the zygote, before it prepares anything: the
// processes that it forks inherit that, and need not do it, each in 41 calls.
absl::Status EmptyBoundingSetForServices();

// What Enter() put into the socket whose other end this is; nothing if it has not come.
UniqueFd ReceiveListener(FdRef hand_over);

}  // namespace capbroker::sandbox

#endif  // SANDBOX_SERVICE_SANDBOX_H_
