// The benchmark: `./bazelw run -c opt //bench -- --json`.
//
//   --json        one JSON object on standard output, in place of the table
//   --rounds=N    rounds, in each of which every variant runs (default 11)
//   --only=A,B    these variants and raw_seqpacket
//   --place=P     same (default): caller and services on one CPU, where a round trip is a
//                 switch of threads; free: where the scheduler puts them, which changes
//                 from run to run between that and the waking of a sleeping CPU
//   --quick       few calls: whether it works, not what it measures
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <cstdio>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/algorithm/container.h"
#include "absl/base/internal/raw_logging.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "bench/echo.capbroker.h"
#include "bench/echo.dispatch.h"
#include "bench/measure.h"
#include "bench/peers.h"
#include "capbroker/file/v1/file_opener.capbroker.h"
#include "client/broker.h"
#include "services/file/file_client.h"
#include "services/file/grants.h"
#include "services/service.h"

namespace capbroker::bench {
namespace {

constexpr char kBase[] = "raw_seqpacket";  // what ratios are to

struct Options {
  bool json = false;
  int rounds = 11;
  double scale = 1;
  std::vector<std::string> only;
  bool one_cpu = true;
};

template <typename T>
T Must(absl::StatusOr<T> result, const char* what) {
  if (!result.ok()) {
    std::fprintf(stderr, "bench: %s: %s\n", what, result.status().ToString().c_str());
    std::exit(1);
  }
  return *std::move(result);
}

v1::EchoLimits EchoLimits() {
  v1::EchoLimits limits;
  limits.add_operations(v1::OPERATION_PING);
  limits.add_operations(v1::OPERATION_CHAT);
  limits.set_max_number(1);
  return limits;
}

Authority EchoAuthority() { return Serve<EchoService>(EchoLimits(), {.wire = true}); }

void Ping(v1::Echo::StubInterface& stub, const v1::PingRequest& request) {
  grpc::ClientContext context;
  v1::PingResponse response;
  const grpc::Status status = stub.Ping(&context, request, &response);
  if (!status.ok() || response.payload().size() != kPayload) {
    std::fprintf(stderr, "bench: ping: %s\n", status.error_message().c_str());
    std::exit(1);
  }
}

v1::PingRequest Request() {
  v1::PingRequest request;
  request.set_payload(std::string(kPayload, 'x'));
  request.set_number(1);
  return request;
}

// A worker that calls once, says so, and stays until its input ends.
int CallOnce(Grants grants) {
  const auto stub = grants.Stub<v1::Echo>("echo");
  Ping(*stub, Request());
  char byte = '.';
  if (write(STDOUT_FILENO, &byte, 1) != 1) return 1;
  (void)!read(STDIN_FILENO, &byte, 1);
  return 0;
}

struct Pipe {
  UniqueFd reader;
  UniqueFd writer;
};
Pipe MakePipe() {
  int ends[2];
  ABSL_RAW_CHECK(pipe2(ends, O_CLOEXEC) == 0, "pipe");
  return {UniqueFd(ends[0]), UniqueFd(ends[1])};
}

struct WaitingWorker {
  Worker worker;
  UniqueFd hold;  // its standard input: closing it ends the worker
};

// From asking for a worker to its first answered call.
WaitingWorker StartWorker(Broker& broker, std::shared_ptr<Channel> channel) {
  Pipe said = MakePipe();
  Pipe hold = MakePipe();
  WorkerOptions options;
  options.entry = CallOnce;
  options.grants.push_back({"echo", std::move(channel)});
  options.standard_input = std::move(hold.reader);
  options.standard_output = std::move(said.writer);
  Worker worker = Must(broker.Launch(std::move(options)), "launch worker");
  char byte;
  ABSL_RAW_CHECK(read(said.reader.get(), &byte, 1) == 1, "the worker did not call");
  return {std::move(worker), std::move(hold.writer)};
}

pid_t ServerOf(Broker& broker) {
  const ::capbroker::v1::InspectResponse alive = Must(broker.Inspect(), "inspect");
  return alive.families(alive.families_size() - 1).process();
}

std::map<std::string, long> MeasureMemory(Broker& broker) {
  std::map<std::string, long> kib;
  auto channel = Must(broker.Open(EchoAuthority()), "open");
  const pid_t server = ServerOf(broker);
  const auto stub = NewStub<v1::Echo>(channel);
  for (int i = 0; i < 100; ++i) Ping(*stub, Request());
  kib["service_memory"] = PrivateKib(server);
  const pid_t zygote = Must(broker.Inspect(), "inspect").zygote_process();
  const std::vector<pid_t> before = ChildrenOf(zygote);
  WaitingWorker waiting = StartWorker(broker, Must(channel->Clone(), "clone"));
  for (const pid_t init : ChildrenOf(zygote)) {
    for (const pid_t worker : ChildrenOf(init)) kib["worker_memory"] = PrivateKib(worker);
  }
  return kib;
}

void PrintTable(const std::map<std::string, Figure>& figures,
                const std::map<std::string, long>& memory) {
  std::printf("%-22s %10s %10s %8s %15s %9s\n", "", "p50 us", "p99 us", "ratio", "quartiles",
              "cpu us");
  for (const auto& [name, f] : figures) {
    std::printf("%-22s %10.2f %10.2f %8.2f %7.2f-%-7.2f %9.2f\n", name.c_str(), f.p50_us, f.p99_us,
                f.ratio, f.ratio_low, f.ratio_high, f.cpu_us);
  }
  for (const auto& [name, kib] : memory) std::printf("%-22s %10ld KiB\n", name.c_str(), kib);
}

void PrintJson(const std::map<std::string, Figure>& figures,
               const std::map<std::string, long>& memory) {
  std::string json = "{";
  const char* separator = "";
  for (const auto& [name, f] : figures) {
    absl::StrAppendFormat(&json,
                          "%s\n  \"%s\": {\"p50_us\": %.3f, \"p99_us\": %.3f, \"ratio\": %.4f, "
                          "\"ratio_quartiles\": [%.4f, %.4f], \"cpu_us\": %.3f}",
                          separator, name, f.p50_us, f.p99_us, f.ratio, f.ratio_low, f.ratio_high,
                          f.cpu_us);
    separator = ",";
  }
  for (const auto& [name, kib] : memory) {
    absl::StrAppendFormat(&json, "%s\n  \"%s\": {\"kib\": %d}", separator, name, kib);
  }
  std::printf("%s\n}\n", json.c_str());
}

int Run(const Options& options, Broker& broker, StockGrpc& stock) {
  RawSeqpacket raw;
  auto channel = Must(broker.Open(EchoAuthority()), "open echo");
  const pid_t echo_server = ServerOf(broker);
  const auto stub = NewStub<v1::Echo>(channel);
  const v1::PingRequest request = Request();

  char small_file[] = "/tmp/capbroker-bench-XXXXXX";
  const UniqueFd file(mkostemp(small_file, O_CLOEXEC));
  ABSL_RAW_CHECK(file.valid() && write(file.get(), "small\n", 6) == 6, "make a small file");
  const std::string path = small_file;
  auto files_channel = Must(broker.Open(ReadOnlyFile(path)), "open files");
  const pid_t file_server = ServerOf(broker);
  const auto files_stub = NewStub<::capbroker::file::v1::FileOpener>(files_channel);
  const ::capbroker::file::Files files(*files_stub);

  const std::map<std::string, long> memory = MeasureMemory(broker);

  const std::unique_ptr<v1::Echo::Stub> grpc_stub = stock.Connect();
  grpc::ClientContext chat_context;
  const auto chat = stub->Chat(&chat_context);
  v1::ChatRequest said;
  said.set_payload(request.payload());

  const auto calls = [&options](int count) {
    return std::max(3, static_cast<int>(count * options.scale));
  };
  std::vector<Variant> variants = {
      {kBase, [&] { raw.Call(); }, calls(1500), {raw.server()}},
      {"stub_unary", [&] { Ping(*stub, request); }, calls(1500), {echo_server}},
      {"grpc_unary", [&] { Ping(*grpc_stub, request); }, calls(500), {stock.server()}},
      {"stream_message",
       [&] {
         v1::ChatResponse response;
         ABSL_RAW_CHECK(chat->Write(said) && chat->Read(&response), "stream");
       },
       calls(500),
       {echo_server}},
      {"descriptor_by_stub",
       [&] {
         const absl::StatusOr<UniqueFd> opened = files.OpenForReading(path);
         ABSL_RAW_CHECK(opened.ok(), opened.status().ToString().c_str());
       },
       calls(500),
       {file_server}},
      {"openat",
       [&] {
         const UniqueFd opened(open(path.c_str(), O_RDONLY | O_CLOEXEC));
         ABSL_RAW_CHECK(opened.valid(), "open");
       },
       calls(500)},
      {"service_open",
       [&] {
         const auto opened = Must(broker.Open(EchoAuthority()), "open");
         Ping(*NewStub<v1::Echo>(opened), request);
       },
       calls(20)},
      {"worker_start", [&] { StartWorker(broker, Must(channel->Clone(), "clone")); }, calls(20)},
  };
  if (!options.only.empty()) {
    std::erase_if(variants, [&options](const Variant& variant) {
      return variant.name != kBase && !absl::c_linear_search(options.only, variant.name);
    });
  }
  const std::map<std::string, Figure> figures = Measure(variants, options.rounds, kBase);
  unlink(small_file);
  if (options.json) {
    PrintJson(figures, memory);
  } else {
    PrintTable(figures, memory);
  }
  chat->WritesDone();
  return 0;
}

}  // namespace
}  // namespace capbroker::bench

int main(int argc, char* argv[]) {
  using namespace capbroker;  // NOLINT(google-build-using-namespace): the program's own
  bench::Options options;
  for (int i = 1; i < argc; ++i) {
    absl::string_view argument = argv[i];
    if (argument == "--json") {
      options.json = true;
    } else if (argument == "--quick") {
      options.rounds = 1;
      options.scale = 0.02;
    } else if (absl::ConsumePrefix(&argument, "--rounds=") &&
               absl::SimpleAtoi(argument, &options.rounds) && options.rounds > 0) {
    } else if (absl::ConsumePrefix(&argument, "--only=")) {
      options.only = absl::StrSplit(argument, ',');
    } else if (argument == "--place=same" || argument == "--place=free") {
      options.one_cpu = absl::EndsWith(argument, "same");
    } else {
      std::fprintf(
          stderr,
          "usage: bench [--json] [--quick] [--rounds=N] [--only=NAME,...] [--place=same|free]\n");
      return 2;
    }
  }
  if (options.one_cpu) bench::StayOnThisCpu();
  bench::StockGrpc stock;
  Broker broker = Broker::StartOrDie();
  return bench::Run(options, broker, stock);
}
