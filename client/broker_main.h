// How Broker::Start() reaches the broker without depending on it: the one function
// that //client declares and //broker defines. A program that starts a broker links
// //broker; workers and programs that only hold channels don't.
//
// Lives in: the child that Broker::Start() has just forked, or the broker program that
// Broker::StartProgram() executed.
#ifndef CLIENT_BROKER_MAIN_H_
#define CLIENT_BROKER_MAIN_H_

#include <cstddef>
#include <cstdint>

#include "base/unique_fd.h"

namespace capbroker {

struct BrokerStart {
  UniqueFd application;  // service end of the application's lane
  UniqueFd lifeline;     // the held end (base/lifeline.h)
  // Runs a worker's entry, given by its address: a broker with the application's own memory
  // image has the entry at the same place. Null in a broker program.
  int (*enter_worker)(uint64_t entry) = nullptr;
  size_t spare_workers = 0;   // BrokerOptions
  size_t spare_services = 0;  // the same
  // In which workers get cgroups of their own (client/broker_cgroup.h). May be left out.
  UniqueFd cgroup = {};
};

// Is the broker, until the application is gone. Returns the exit code.
int RunBroker(BrokerStart start);

// Where a broker program finds its descriptors.
inline constexpr int kProgramLaneDescriptor = 3;
inline constexpr int kProgramLifelineDescriptor = 4;
inline constexpr int kProgramCgroupDescriptor = 5;  // if there is one

}  // namespace capbroker

#endif  // CLIENT_BROKER_MAIN_H_
