// The surroundings of an attack: files, sockets and processes that it wants to reach, made by the
// application, and a look afterwards at whether anything has happened to them.
//
// Lives in: a test's application.
#ifndef TESTS_HOSTILE_WORKER_SCENE_H_
#define TESTS_HOSTILE_WORKER_SCENE_H_

#include <optional>
#include <string>
#include <vector>

#include "base/unique_fd.h"
#include "tests/hostile_worker/attack.h"

namespace capbroker::hostile {

// Makes everything as the present user and terminates the program if that fails. Single-threaded.
class SceneOwner {
 public:
  SceneOwner();
  ~SceneOwner();

  const Scene& scene() const { return scene_; }
  // The attacker's standard input.
  UniqueFd OpenFile() const;
  // The attacker's standard error: a connection with what is smuggled already in it. `kept` is the
  // other end.
  UniqueFd Connection(UniqueFd& kept) const;

  // What has become different; empty if nothing has.
  std::string Harm() const;

 private:
  Scene scene_ = {};
  Smuggled smuggled_ = {};
  std::vector<UniqueFd> owned_;
  int unix_listener_ = -1, abstract_listener_ = -1, tcp_listener_ = -1, udp_ = -1;
  std::string host_name_;
};

}  // namespace capbroker::hostile

#endif  // TESTS_HOSTILE_WORKER_SCENE_H_
