// capbroker.v1.Supervisor for one family: what its service process may ask of the
// broker. Every method acts on that family's record alone (broker/families/family.h).
//
// Lives in: the broker. Caller: a service process, which may have been taken over.
#ifndef BROKER_FAMILIES_SUPERVISOR_H_
#define BROKER_FAMILIES_SUPERVISOR_H_

#include <memory>

#include "broker/families/audit_trail.h"
#include "broker/families/family.h"
#include "serving/lane/method_table.h"

namespace capbroker::broker {

// The methods for one lane. `family` and `audit` outlive the lane.
std::shared_ptr<const serving::MethodTable> SupervisorMethods(Family* family, AuditTrail* audit);

}  // namespace capbroker::broker

#endif  // BROKER_FAMILIES_SUPERVISOR_H_
