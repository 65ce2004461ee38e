// The table of the broker: an event loop, lanes, and signals to processes that it knows by
// descriptor.
//
// The broker parses what service processes say, which hostile bytes may have taken over, and
// its memory has the records of all families. It opens no file, makes no socket with a name and
// starts no process: the zygote does, and, when that and its spare are gone, the reserve (both
// of them forked before this table is in force). What has no row ends the broker.
//
// Runs in: the broker.
#ifndef SANDBOX_POLICIES_BROKER_POLICY_H_
#define SANDBOX_POLICIES_BROKER_POLICY_H_

#include "sandbox/table/policy.h"

namespace capbroker::sandbox {

Policy BrokerPolicy();

}  // namespace capbroker::sandbox

#endif  // SANDBOX_POLICIES_BROKER_POLICY_H_
