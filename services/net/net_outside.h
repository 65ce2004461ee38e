// Connector and Listener as a supervisor asks them: connections and servers for code that knows
// nothing of channels.
//
// Several channels are asked one after another, and the first that the limits of one allow counts:
// each is a grant of its own names or addresses with its own ports.
//
// Lives in: the supervisor of a worker, which has no gRPC core and makes no thread.
#ifndef SERVICES_NET_NET_OUTSIDE_H_
#define SERVICES_NET_NET_OUTSIDE_H_

#include <memory>

#include "sandbox/supervisor/outside.h"

namespace capbroker::net {

// `channels`: lane ends that nobody else uses. For sandbox::RegisterOutside().
std::unique_ptr<sandbox::Outside> MakeNetOutside(sandbox::OutsideChannels channels);

}  // namespace capbroker::net

#endif  // SERVICES_NET_NET_OUTSIDE_H_
