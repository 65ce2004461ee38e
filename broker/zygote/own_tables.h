// The tables of system calls of the broker and of what it forks (sandbox/policies/broker_policy.h,
// sandbox/policies/zygote_policy.h), in force for the calling process and what it forks, for ever.
//
// Lives in: the broker; the zygote and the reserve.
#ifndef BROKER_ZYGOTE_OWN_TABLES_H_
#define BROKER_ZYGOTE_OWN_TABLES_H_

#include "absl/status/status.h"

namespace capbroker::broker {

// Once all that the broker starts itself is started. INVARIANT(default-deny)
absl::Status EnterBrokerTable();

// In the reserve, whose zygotes inherit it.
absl::Status EnterZygoteTable();

}  // namespace capbroker::broker

#endif  // BROKER_ZYGOTE_OWN_TABLES_H_
