// Where the descriptors of a command find themselves in a worker.
//
// Lives in: the zygote, and the broker, which gives them to a spare by itself.
#ifndef BROKER_ZYGOTE_WORKER_PLACES_H_
#define BROKER_ZYGOTE_WORKER_PLACES_H_

#include <utility>
#include <vector>

#include "capbroker/v1/zygote.pb.h"
#include "client/worker_birth.h"

namespace capbroker::broker {

// Fields of `command`, and the worker's number for each. Slot 0: not there.
inline std::vector<std::pair<const v1::Descriptor*, int>> WorkerPlaces(
    const v1::ForkWorker& command) {
  std::vector<std::pair<const v1::Descriptor*, int>> places = {
      {&command.standard_input(), 0},
      {&command.standard_output(), 1},
      {&command.standard_error(), 2},
      {&command.birth(), kBirthDescriptor}};
  int number = kBirthDescriptor;
  for (const v1::Descriptor& channel : command.channels()) places.emplace_back(&channel, ++number);
  return places;
}

}  // namespace capbroker::broker

#endif  // BROKER_ZYGOTE_WORKER_PLACES_H_
