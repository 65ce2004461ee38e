// What most variants start from: the broker, and one service that it opened.
#ifndef BENCH_SCENE_H_
#define BENCH_SCENE_H_

#include <sys/types.h>

#include <memory>
#include <vector>

#include "bench/measure.h"
#include "bench/options.h"
#include "client/broker.h"
#include "transport/channel.h"

namespace capbroker::bench {

struct Scene {
  const Options& options;
  Broker& broker;
  std::shared_ptr<Channel> echo = nullptr;  // to an EchoService
  pid_t echo_server = 0;
  pid_t broker_process = 0;
  pid_t zygote = 0;
};

Scene MakeScene(const Options& options, Broker& broker);

// The process of the service that was opened last.
pid_t NewestServer(Broker& broker);

using Variants = std::vector<Variant>;

}  // namespace capbroker::bench

#endif  // BENCH_SCENE_H_
