// The benchmark: `./bazelw run -c opt //bench -- --json`.
//
//   --json        one JSON object on standard output, in place of the table
//   --peers       also Cap'n Proto, sd-bus and the sandbox tools that are installed
//   --growth      also how figures grow: growth.h
//   --rounds=N    rounds, in each of which every variant runs (default 11)
//   --only=A,B    these variants and raw_seqpacket, without memory; also workers_1000
//   --place=P     same (default): caller and services on one CPU, where a round trip is a
//                 switch of threads; free: where the scheduler puts them, which changes
//                 from run to run between that and the waking of a sleeping CPU
//   --quick       few calls: whether it works, not what it measures
//
// What each figure is stands in the header of its subject: calls.h, apart.h, messages.h,
// channels.h, files.h, starts.h, memory.h, and rivals.h and sandbox_tools.h. A further figure is
// one more variant there, a name in bench_test.sh, and, where a bound is promised for it, a row in
// docs/promises.py.
#include <cstdio>
#include <memory>
#include <optional>
#include <vector>

#include "base/descriptor_limit.h"
#include "bench/apart.h"
#include "bench/calls.h"
#include "bench/channels.h"
#include "bench/files.h"
#include "bench/growth.h"
#include "bench/machine.h"
#include "bench/measure.h"
#include "bench/memory.h"
#include "bench/messages.h"
#include "bench/options.h"
#include "bench/process_facts.h"
#include "bench/raw_peers.h"
#include "bench/report.h"
#include "bench/rivals.h"
#include "bench/sandbox_tools.h"
#include "bench/scene.h"
#include "bench/starts.h"
#include "bench/stock_grpc.h"
#include "client/broker.h"

int main(int argc, char* argv[]) {
  using namespace capbroker::bench;  // NOLINT(google-build-using-namespace): the program's own
  const Options options = ParseOptions(argc, argv);
  if (options.one_cpu) StayOnThisCpu();
  (void)capbroker::RaiseDescriptorLimit();

  // First what has processes of its own, then the broker, then what may start threads.
  RawSeqpacket raw;
  StockGrpc stock;
  Apart apart;
  const SmallFile file;
  PlainOpeners openers(file);
  const std::vector<Rival> rivals = MakeRivals(options);
  capbroker::Broker broker = capbroker::Broker::StartOrDie();
  capbroker::Broker with_spares = capbroker::Broker::StartOrDie(
      {.spare_workers = kSpareWorkers, .spare_services = kSpareServices});
  const Scene scene = MakeScene(options, broker);
  const Scene scene_with_spares = MakeScene(options, with_spares);

  Report report;
  report.machine = DescribeMachine(options);
  std::vector<ManyWorkers> many_workers;
  if (options.only.empty()) report.memory = MeasureMemory(scene);
  if (options.Wants("workers_1000")) {
    many_workers = MeasureManyWorkers(
        scene, options.quick ? std::vector<int>{1, 5} : std::vector<int>{1, 10, 100, 1000});
    report.many_workers = many_workers.back();
  }

  const Variant base = {.name = kBase,
                        .call = [&raw] { raw.Call(); },
                        .calls = options.Calls(1500),
                        .servers = {raw.server()}};
  Variants variants = {base};
  AddCalls(scene, variants);
  AddMessages(scene, variants);
  AddChannels(scene, variants);
  AddFiles(scene, file, variants);
  openers.AddTo(options, variants);
  AddStarts(scene, scene_with_spares, variants);
  AddRivals(options, rivals, variants);
  apart.AddTo(scene, variants);
  AddStockGrpc(options, stock.Connect(), stock.server(), variants);
  if (options.peers) AddSandboxTools(scene, variants);
  std::erase_if(variants,
                [&options](const Variant& variant) { return !options.Wants(variant.name); });
  report.figures = Measure(variants, options.rounds, kBase);
  if (options.growth) report.growth = MeasureGrowth(scene, base, many_workers);
  std::fputs((options.json ? ToJson(report) : ToTable(report)).c_str(), stdout);
  return 0;
}
