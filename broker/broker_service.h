// capbroker.v1.Broker: what the application can ask. Lives in: the broker, on its
// one thread. Caller: the application alone.
#ifndef BROKER_BROKER_SERVICE_H_
#define BROKER_BROKER_SERVICE_H_

#include <memory>

#include "broker/families/families.h"
#include "broker/workers/launcher.h"
#include "broker/zygote/zygote_keeper.h"
#include "serving/dispatch.h"

namespace capbroker::broker {

// What is given outlives the result.
std::unique_ptr<serving::Dispatch> MakeBrokerService(Families* families, Launcher* launcher,
                                                     const ZygoteKeeper* zygote, AuditTrail* audit);

}  // namespace capbroker::broker

#endif  // BROKER_BROKER_SERVICE_H_
