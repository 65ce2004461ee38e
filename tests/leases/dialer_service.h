// Connects to ports of this machine for those who may.
//
// Lives in: service processes of tests; the grant expression in their applications.
#ifndef TESTS_LEASES_DIALER_SERVICE_H_
#define TESTS_LEASES_DIALER_SERVICE_H_

#include <cstdint>

#include "client/grant.h"
#include "serving/service_needs.h"
#include "tests/leases/dialer.dispatch.h"
#include "tests/leases/dialer.grpc.pb.h"

namespace capbroker::testing {

class DialerService : public v1::Dialer::Service {
 public:
  // The ports of its limits.
  static serving::ServiceNeeds Needs();
  grpc::Status Dial(grpc::ServerContext* context, const v1::DialRequest* request,
                    v1::DialResponse* response) override;
  grpc::Status DialForGood(grpc::ServerContext* context, const v1::DialForGoodRequest* request,
                           v1::DialForGoodResponse* response) override;
  grpc::Status Crash(grpc::ServerContext*, const v1::CrashRequest*, v1::CrashResponse*) override;
};

v1::DialerLimits DialerLimits(uint16_t port);
// Grant expression.
Authority Dial(uint16_t port);

}  // namespace capbroker::testing

#endif  // TESTS_LEASES_DIALER_SERVICE_H_
