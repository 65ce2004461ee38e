// Starting services and workers: until the first answered call.
//
//   service_open        a service process, called by this process
//   service_open_spare  the same by a broker that has a spare service process
//   worker_start        a forked worker, which calls a service
//   worker_start_spare  the same by a broker that has spare workers
//   worker_exec         a worker that executes ping_program, which calls a service
#ifndef BENCH_STARTS_H_
#define BENCH_STARTS_H_

#include <memory>
#include <string>

#include "base/unique_fd.h"
#include "bench/scene.h"
#include "client/broker.h"
#include "transport/channel.h"

namespace capbroker::bench {

// A worker that has called once. It stays until `hold` is closed.
struct WaitingWorker {
  Worker worker;
  UniqueFd hold;
};

// `program`: ping_program, or empty for a forked worker.
WaitingWorker StartWorker(Broker& broker, std::shared_ptr<Channel> echo,
                          const std::string& program = "");

// Beside this program.
std::string PingProgram();

// `with_spares`: of a broker that has kSpareWorkers and kSpareServices.
void AddStarts(const Scene& scene, const Scene& with_spares, Variants& variants);
inline constexpr int kSpareWorkers = 2;
inline constexpr int kSpareServices = 1;

}  // namespace capbroker::bench

#endif  // BENCH_STARTS_H_
