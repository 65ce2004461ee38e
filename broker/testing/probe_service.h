// The probe's service side. Lives in: service processes of tests.
#ifndef BROKER_TESTING_PROBE_SERVICE_H_
#define BROKER_TESTING_PROBE_SERVICE_H_

#include <string>

#include "broker/testing/probe.dispatch.h"
#include "broker/testing/probe.grpc.pb.h"
#include "client/grant.h"
#include "serving/service_needs.h"

namespace capbroker::testing {

class ProbeService : public v1::Probe::Service {
 public:
  // Look() tells what is open.
  static serving::ServiceNeeds Needs() { return {.reads = {"/proc/self/fd"}}; }
  grpc::Status Say(grpc::ServerContext*, const v1::SayRequest* request,
                   v1::SayResponse* response) override;
  grpc::Status Die(grpc::ServerContext*, const v1::DieRequest* request, v1::DieResponse*) override;
  grpc::Status Sleep(grpc::ServerContext*, const v1::SleepRequest* request,
                     v1::SleepResponse*) override;
  grpc::Status Look(grpc::ServerContext*, const v1::LookRequest*,
                    v1::LookResponse* response) override;
};

// One that crashes whenever it is started.
class BrokenService : public v1::Probe::Service {
 public:
  static constexpr char kInstance[] = "broken";
  BrokenService();
};

// One that takes its time to be made.
class SlowlyMadeService : public ProbeService {
 public:
  static constexpr char kInstance[] = "slowly made";
  SlowlyMadeService();
};

// Grant expressions.
Authority Probe(std::initializer_list<std::string> words);
Authority BrokenProbe();
Authority SlowlyMadeProbe(std::initializer_list<std::string> words);

}  // namespace capbroker::testing

#endif  // BROKER_TESTING_PROBE_SERVICE_H_
