// The service of checked.proto: limits, and a request that they allow.
#ifndef BENCH_CHECKED_SERVICE_H_
#define BENCH_CHECKED_SERVICE_H_

#include "bench/checked.grpc.pb.h"

namespace capbroker::bench {

class CheckedService : public v1::Checked::Service {
 public:
  static constexpr bool kQuickHandlers = true;
  grpc::Status Ask(grpc::ServerContext*, const v1::AskRequest*, v1::AskResponse*) override {
    return grpc::Status::OK;
  }
};

// With `more_names` names beside the one that is asked for.
v1::CheckedLimits LimitsOfChecked(int more_names = 0);
v1::AskRequest AllowedQuestion();

}  // namespace capbroker::bench

#endif  // BENCH_CHECKED_SERVICE_H_
