#include "bench/scene.h"

#include "bench/echo_service.h"
#include "bench/must.h"

namespace capbroker::bench {

Scene MakeScene(const Options& options, Broker& broker) {
  Scene scene = {.options = options, .broker = broker};
  scene.echo = Must(broker.Open(EchoAuthority()), "open echo");
  scene.echo_server = NewestServer(broker);
  const ::capbroker::v1::InspectResponse alive = Must(broker.Inspect(), "inspect");
  scene.broker_process = alive.broker_process();
  scene.zygote = alive.zygote_process();
  return scene;
}

pid_t NewestServer(Broker& broker) {
  const ::capbroker::v1::InspectResponse alive = Must(broker.Inspect(), "inspect");
  return alive.families(alive.families_size() - 1).process();
}

}  // namespace capbroker::bench
