#include "bench/growth.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "bench/calls.h"
#include "bench/checked.capbroker.h"
#include "bench/checked.dispatch.h"
#include "bench/checked_service.h"
#include "bench/echo.capbroker.h"
#include "bench/echo_service.h"
#include "bench/must.h"
#include "bench/process_facts.h"
#include "capbroker/file/v1/file_opener.capbroker.h"
#include "services/file/file_client.h"
#include "services/file/grants.h"
#include "services/service.h"
#include "transport/stub.h"

namespace capbroker::bench {
namespace {

// One point, to be measured beside all others.
struct Pending {
  std::string series;
  int n;
  pid_t server;  // whose memory grows; 0: none
  Variant variant;
};

void AddChannelPoints(const Scene& scene, std::vector<Pending>& pending) {
  for (const int n : {1, 10, 100, 1000}) {
    const auto first = Must(scene.broker.Open(EchoAuthority()), "open");
    const pid_t server = NewestServer(scene.broker);
    auto others = std::make_shared<std::vector<std::shared_ptr<Channel>>>();
    for (int i = 1; i < n; ++i) others->push_back(Must(first->Clone(), "clone"));
    // Each has been used.
    for (const auto& channel : *others) Ping(*NewStub<v1::Echo>(channel), RequestOf());
    const std::shared_ptr<v1::Echo::StubInterface> stub = NewStub<v1::Echo>(first);
    pending.push_back({"growth_channels",
                       n,
                       server,
                       {.name = absl::StrCat("channels ", n),
                        .call = [stub, others, request = RequestOf()] { Ping(*stub, request); },
                        .calls = scene.options.Calls(500)}});
  }
}

void AddLimitsPoints(const Scene& scene, std::vector<Pending>& pending) {
  for (const int n : {10, 100, 1000}) {
    const std::shared_ptr<v1::Checked::StubInterface> stub = NewStub<v1::Checked>(
        Must(scene.broker.Open(Serve<CheckedService>(LimitsOfChecked(n - 1))), "open checked"));
    pending.push_back({"growth_limits_entries",
                       n,
                       NewestServer(scene.broker),
                       {.name = absl::StrCat("limits ", n),
                        .call =
                            [stub, request = AllowedQuestion()] {
                              grpc::ClientContext context;
                              v1::AskResponse response;
                              Must(stub->Ask(&context, request, &response).ok(), "ask");
                            },
                        .calls = scene.options.Calls(500)}});
  }
}

void AddCheckPoints(const Scene& scene, std::vector<Pending>& pending) {
  for (const int n : {10, 100, 1000, 10'000}) {
    pending.push_back(
        {"growth_limits_check", n, 0, LimitsCheck(scene.options, absl::StrCat("check ", n), n)});
  }
}

// A directory with a file in each depth of it, gone with this object.
class Tree {
 public:
  Tree() : root_("/tmp/capbroker-bench-tree-XXXXXX") {
    Must(mkdtemp(root_.data()) != nullptr, "make a directory");
  }
  ~Tree() { std::filesystem::remove_all(root_); }
  const std::string& root() const { return root_; }
  std::string FileAt(int depth) const {
    std::string path = root_;
    for (int i = 1; i < depth; ++i) absl::StrAppend(&path, "/d");
    std::filesystem::create_directories(path);
    absl::StrAppend(&path, "/file");
    const UniqueFd file(open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    Must(file.valid(), "make a file");
    return path;
  }

 private:
  std::string root_;
};

void AddDepthPoints(const Scene& scene, const Tree& tree, std::vector<Pending>& pending) {
  const std::shared_ptr<::capbroker::file::v1::FileOpener::StubInterface> stub =
      NewStub<::capbroker::file::v1::FileOpener>(
          Must(scene.broker.Open(ReadOnlyDirectory(tree.root())), "open the FileOpener"));
  for (const int n : {1, 4, 16, 64}) {
    pending.push_back({"growth_directory_depth",
                       n,
                       0,
                       {.name = absl::StrCat("depth ", n),
                        .call =
                            [stub, path = tree.FileAt(n)] {
                              Must(::capbroker::file::Files(*stub).OpenForReading(path).status(),
                                   "open");
                            },
                        .calls = scene.options.Calls(300)}});
  }
}

}  // namespace

std::map<std::string, std::vector<GrowthPoint>> MeasureGrowth(
    const Scene& scene, const Variant& base, const std::vector<ManyWorkers>& many_workers) {
  const Tree tree;
  std::vector<Pending> pending;
  AddChannelPoints(scene, pending);
  AddLimitsPoints(scene, pending);
  AddCheckPoints(scene, pending);
  AddDepthPoints(scene, tree, pending);
  std::vector<Variant> variants = {base};
  for (const Pending& point : pending) variants.push_back(point.variant);
  std::map<std::string, Figure> figures = Measure(variants, scene.options.rounds, base.name);

  std::map<std::string, std::vector<GrowthPoint>> growth;
  for (const Pending& point : pending) {
    const Figure& figure = figures[point.variant.name];
    growth[point.series].push_back({.n = point.n,
                                    .p50_us = figure.p50_us,
                                    .ratio = figure.ratio,
                                    .kib = point.server == 0 ? 0 : PrivateKib(point.server)});
  }
  for (const ManyWorkers& many : many_workers) {
    growth["growth_workers"].push_back({.n = many.workers,
                                        .p50_us = 1e6 / many.per_s,
                                        .ratio = {},  // of one round only
                                        .kib = many.broker_kib});
  }
  return growth;
}

}  // namespace capbroker::bench
