#include "services/net/testing/listener_process.h"

#include <memory>

#include "capbroker/net/v1/listener.dispatch.h"
#include "services/net/listener_service.h"

namespace capbroker::net {

ListenerProcess::ListenerProcess(const v1::ListenerLimits& limits)
    : ServedProcess([] { return v1::CapbrokerMakeDispatch(std::make_unique<ListenerService>()); },
                    limits) {}

}  // namespace capbroker::net
