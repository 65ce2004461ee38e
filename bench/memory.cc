#include "bench/memory.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <iterator>
#include <memory>
#include <utility>

#include "bench/echo.capbroker.h"
#include "bench/echo_service.h"
#include "bench/forked.h"
#include "bench/must.h"
#include "bench/process_facts.h"
#include "bench/starts.h"
#include "transport/stub.h"

namespace capbroker::bench {
namespace {

constexpr char kChannels[][2] = {"a", "b", "c"};

// Says for each of its channels whether it was answered on it, and stays.
int CallOnAll(Grants grants) {
  for (const auto& name : kChannels) {
    grpc::ClientContext context;
    v1::PingResponse response;
    const bool answered =
        grants.Stub<v1::Echo>(name)->Ping(&context, RequestOf(), &response).ok() &&
        response.payload().size() == kPayload;
    const char byte = answered ? 'y' : 'n';
    if (write(STDOUT_FILENO, &byte, 1) != 1) return 1;
  }
  char byte;
  return read(STDIN_FILENO, &byte, 1) == 0 ? 0 : 1;
}

// Reads what workers say until it is `expected` bytes, or nothing more has come for some time.
// Gives how many of them are 'y'.
int CountAnswers(FdRef said, int expected) {
  int answered = 0;
  while (expected > 0) {
    pollfd waited = {.fd = said.get(), .events = POLLIN, .revents = 0};
    if (poll(&waited, 1, 10'000) != 1) break;
    char bytes[256];
    const ssize_t count =
        read(said.get(), bytes, std::min(sizeof bytes, static_cast<size_t>(expected)));
    if (count <= 0) break;
    answered += static_cast<int>(std::count(bytes, bytes + count, 'y'));
    expected -= static_cast<int>(count);
  }
  return answered;
}

}  // namespace

ProcessMemory MeasureMemory(const Scene& scene) {
  ProcessMemory memory;
  {
    const auto busy = NewStub<v1::Echo>(Must(scene.broker.Open(EchoAuthority()), "open"));
    const pid_t server = NewestServer(scene.broker);
    for (int i = 0; i < 2000; ++i) Ping(*busy, RequestOf());
    memory.service_busy_kib = PrivateKib(server);
  }
  const auto channel = Must(scene.broker.Open(EchoAuthority()), "open");
  const pid_t server = NewestServer(scene.broker);
  const auto stub = NewStub<v1::Echo>(channel);
  for (int i = 0; i < 100; ++i) Ping(*stub, RequestOf());
  memory.service_kib = PrivateKib(server);
  {
    const std::vector<pid_t> before = DescendantsOf(scene.zygote);
    const WaitingWorker waiting = StartWorker(scene.broker, Must(channel->Clone(), "clone"));
    // The worker itself comes after its init.
    for (const pid_t process : DescendantsOf(scene.zygote)) {
      if (std::count(before.begin(), before.end(), process) == 0) {
        memory.worker_kib = PrivateKib(process);
      }
    }
  }
  grpc::ClientContext context;
  const auto chat = stub->Chat(&context);
  v1::ChatRequest said;
  said.set_payload(RequestOf().payload());
  for (int i = 0; i < 100; ++i) {
    v1::ChatResponse response;
    Must(chat->Write(said) && chat->Read(&response), "stream");
  }
  memory.service_wire_kib = PrivateKib(server);
  chat->WritesDone();
  (void)chat->Finish();
  return memory;
}

std::vector<ManyWorkers> MeasureManyWorkers(const Scene& scene, const std::vector<int>& counts) {
  std::vector<std::shared_ptr<Channel>> services;
  for (size_t i = 0; i < std::size(kChannels); ++i) {
    services.push_back(Must(scene.broker.Open(EchoAuthority()), "open"));
  }
  Pipe said = MakePipe();
  Pipe hold = MakePipe();
  std::vector<Worker> workers;
  std::vector<ManyWorkers> reached;
  int bytes = 0;
  int answers = 0;
  const double start = MonotonicSeconds();
  double last = start;
  for (const int count : counts) {
    const int before = static_cast<int>(workers.size());
    while (static_cast<int>(workers.size()) < count) {
      WorkerOptions options;
      options.entry = CallOnAll;
      for (size_t i = 0; i < std::size(kChannels); ++i) {
        options.grants.push_back({kChannels[i], Must(services[i]->Clone(), "clone")});
      }
      options.standard_input = Must(Duplicate(hold.reader), "duplicate");
      options.standard_output = Must(Duplicate(said.writer), "duplicate");
      workers.push_back(Must(scene.broker.Launch(std::move(options)), "launch one of many"));
      bytes += static_cast<int>(std::size(kChannels));
    }
    answers += CountAnswers(said.reader, bytes);
    bytes = 0;
    const double now = MonotonicSeconds();
    reached.push_back({.workers = count,
                       .answered = answers / static_cast<int>(std::size(kChannels)),
                       .per_s = (count - before) / (now - last),
                       .all_per_s = count / (now - start),
                       .broker_kib = PrivateKib(scene.broker_process) + PrivateKib(scene.zygote)});
    last = MonotonicSeconds();
  }
  hold.writer.Reset();
  for (Worker& worker : workers) worker.Wait();
  return reached;
}

}  // namespace capbroker::bench
