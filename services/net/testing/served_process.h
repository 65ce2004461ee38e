// A service in a process of its own, for tests that start workers and so cannot have threads.
//
// Lives in: test programs.
#ifndef SERVICES_NET_TESTING_SERVED_PROCESS_H_
#define SERVICES_NET_TESTING_SERVED_PROCESS_H_

#include <sys/types.h>

#include <memory>
#include <utility>

#include "absl/functional/function_ref.h"
#include "base/unique_fd.h"
#include "google/protobuf/message.h"
#include "serving/dispatch.h"

namespace capbroker::net {

class ServedProcess {
 public:
  // Forks; `make` is called in the child.
  ServedProcess(absl::FunctionRef<std::unique_ptr<serving::Dispatch>()> make,
                const google::protobuf::Message& limits);
  ~ServedProcess();
  ServedProcess(const ServedProcess&) = delete;
  ServedProcess& operator=(const ServedProcess&) = delete;

  // The client end of its channel; once.
  UniqueFd TakeLane() { return std::move(lane_); }
  // Of the channel. Returns when it is done.
  void Revoke();

 private:
  pid_t process_ = -1;
  UniqueFd control_;
  UniqueFd lane_;
};

}  // namespace capbroker::net

#endif  // SERVICES_NET_TESTING_SERVED_PROCESS_H_
