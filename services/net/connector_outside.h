// The Connector as a supervisor asks it: connections for code that knows nothing of channels.
//
// Several channels are asked one after another, and the first that the limits of one allow counts:
// each is a grant of its own names with its own ports.
//
// Lives in: the supervisor of a worker, which has no gRPC core and makes no thread.
#ifndef SERVICES_NET_CONNECTOR_OUTSIDE_H_
#define SERVICES_NET_CONNECTOR_OUTSIDE_H_

#include <memory>
#include <vector>

#include "base/unique_fd.h"
#include "sandbox/supervisor/outside.h"

namespace capbroker::net {

// `channels`: lane ends of Connectors that nobody else uses. For sandbox::RegisterOutside().
std::unique_ptr<sandbox::Outside> MakeConnectorOutside(std::vector<UniqueFd> channels);

}  // namespace capbroker::net

#endif  // SERVICES_NET_CONNECTOR_OUTSIDE_H_
