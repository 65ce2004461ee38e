#include "bench/starts.h"

#include <unistd.h>

#include <cstdint>
#include <optional>
#include <utility>

#include "absl/algorithm/container.h"
#include "bench/calling_once.h"
#include "bench/echo.capbroker.h"
#include "bench/echo_service.h"
#include "bench/forked.h"
#include "bench/must.h"
#include "bench/process_facts.h"
#include "transport/stub.h"

namespace capbroker::bench {
namespace {

int CallOnceInWorker(Grants grants) { return CallOnce(*grants.Stub<v1::Echo>("echo")); }

// What one call of a variant has made and its `after` ends.
template <typename T>
using Made = std::shared_ptr<std::optional<T>>;

// Until as many wait as before the last start.
void AwaitSpares(Broker& broker, uint32_t count) {
  while (Must(broker.Inspect(), "inspect").spare_workers() < count) usleep(1000);
}

// The end of a service takes time, which would be at the cost of the next start.
void AwaitEnd(Broker& broker, pid_t process) {
  const auto lives = [&] {
    const ::capbroker::v1::InspectResponse alive = Must(broker.Inspect(), "inspect");
    return absl::c_any_of(alive.families(),
                          [&](const auto& family) { return family.process() == process; });
  };
  while (lives()) usleep(1000);
}

void AddServiceOpen(const std::string& name, const Scene& scene, Variants& variants,
                    uint32_t spares = 0) {
  const Made<std::shared_ptr<Channel>> opened =
      std::make_shared<std::optional<std::shared_ptr<Channel>>>();
  variants.push_back({.name = name,
                      .call =
                          [opened, &broker = scene.broker, request = RequestOf()] {
                            opened->emplace(Must(broker.Open(EchoAuthority()), "open"));
                            Ping(*NewStub<v1::Echo>(**opened), request);
                          },
                      .calls = scene.options.Calls(20),
                      .after =
                          [opened, spares, &broker = scene.broker] {
                            const pid_t server = NewestServer(broker);
                            opened->reset();
                            AwaitEnd(broker, server);
                            while (Must(broker.Inspect(), "inspect").spare_services() < spares)
                              usleep(1000);
                          }});
}

void AddWorkerStart(const std::string& name, const std::string& program, const Scene& scene,
                    Variants& variants, uint32_t spares = 0) {
  if (spares > 0) AwaitSpares(scene.broker, spares);
  const auto made = std::make_shared<std::optional<WaitingWorker>>();
  variants.push_back({.name = name,
                      .call =
                          [made, program, &broker = scene.broker, echo = scene.echo] {
                            made->emplace(
                                StartWorker(broker, Must(echo->Clone(), "clone"), program));
                          },
                      .calls = scene.options.Calls(20),
                      .after =
                          [made, spares, &broker = scene.broker] {
                            (*made)->hold.Reset();
                            Must((*made)->worker.Wait().exit_code() == 0, "end of a worker");
                            made->reset();
                            if (spares > 0) AwaitSpares(broker, spares);
                          }});
}

}  // namespace

WaitingWorker StartWorker(Broker& broker, std::shared_ptr<Channel> echo,
                          const std::string& program) {
  Pipe said = MakePipe();
  Pipe hold = MakePipe();
  WorkerOptions options;
  if (program.empty()) {
    options.entry = CallOnceInWorker;
  } else {
    options.program = program;
  }
  options.grants.push_back({"echo", std::move(echo)});
  options.standard_input = std::move(hold.reader);
  options.standard_output = std::move(said.writer);
  Worker worker = Must(broker.Launch(std::move(options)), "launch a worker");
  char byte;
  Must(read(said.reader.get(), &byte, 1) == 1, "first call of a worker");
  return {std::move(worker), std::move(hold.writer)};
}

std::string PingProgram() { return BesideThisProgram("ping_program"); }

void AddStarts(const Scene& scene, const Scene& with_spares, Variants& variants) {
  AddServiceOpen("service_open", scene, variants);
  AddServiceOpen("service_open_spare", with_spares, variants, kSpareServices);
  AddWorkerStart("worker_start", "", scene, variants);
  AddWorkerStart("worker_start_spare", "", with_spares, variants, kSpareWorkers);
  AddWorkerStart("worker_exec", PingProgram(), scene, variants);
}

}  // namespace capbroker::bench
