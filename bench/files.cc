#include "bench/files.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <utility>

#include "base/file_grant.h"
#include "base/unique_fd.h"
#include "bench/must.h"
#include "bench/process_facts.h"
#include "bench/raw_files.h"
#include "capbroker/file/v1/file_opener.capbroker.h"
#include "services/file/file_client.h"
#include "services/file/grants.h"
#include "transport/stub.h"

namespace capbroker::bench {
namespace {

void OpenAndClose(const std::string& path) {
  const UniqueFd opened(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  Must(opened.valid(), "open a small file");
}

RunCalls OpenRepeatedly(const std::string& path) {
  return [path](int calls, std::vector<double>& times) {
    TimeCalls(calls, times, [&path] { OpenAndClose(path); });
  };
}

// A worker whose input is the path.
int OpenInWorker(Grants grants) {
  AnswerRuns(FdRef::FromRaw(STDIN_FILENO), FdRef::FromRaw(STDOUT_FILENO),
             OpenRepeatedly(grants.input()));
  return 0;
}

struct SupervisedOpener {
  Worker worker;
  UniqueFd questions;
  UniqueFd answers;
  std::vector<pid_t> processes;
};

std::shared_ptr<SupervisedOpener> StartSupervised(const Scene& scene, const std::string& path) {
  const std::vector<pid_t> before = DescendantsOf(scene.broker_process);
  Pipe questions = MakePipe();
  Pipe answers = MakePipe();
  WorkerOptions options;
  options.entry = OpenInWorker;
  options.input = path;
  options.standard_input = std::move(questions.reader);
  options.standard_output = std::move(answers.writer);
  options.supervision = Supervision{.files = {FileGrant::ReadFile(path)}};
  Worker worker = Must(scene.broker.Launch(std::move(options)), "launch a supervised worker");
  std::vector<pid_t> processes = DescendantsOf(scene.broker_process);
  std::erase_if(processes, [&before](pid_t process) {
    return std::find(before.begin(), before.end(), process) != before.end();
  });
  return std::make_shared<SupervisedOpener>(std::move(worker), std::move(questions.writer),
                                            std::move(answers.reader), std::move(processes));
}

}  // namespace

SmallFile::SmallFile() : path_("/tmp/capbroker-bench-XXXXXX") {
  const UniqueFd file(mkostemp(path_.data(), O_CLOEXEC));
  Must(file.valid() && write(file.get(), "small\n", 6) == 6, "make a small file");
}

SmallFile::~SmallFile() { unlink(path_.c_str()); }

PlainOpeners::PlainOpeners(const SmallFile& file)
    : direct_([&file] { return OpenRepeatedly(file.path()); }),
      raw_descriptor_(RawDescriptor(file.path())),
      raw_notified_(RawNotifiedOpen(file.path())) {}

void PlainOpeners::AddTo(const Options& options, Variants& variants) {
  const auto add = [&](const char* name, std::vector<pid_t> processes, RunCalls run) {
    variants.push_back({.name = name,
                        .calls = options.Calls(500),
                        .servers = std::move(processes),
                        .counts_caller = false,
                        .run = std::move(run)});
  };
  add("openat_direct", {direct_.process()}, direct_.run());
  add("raw_descriptor", raw_descriptor_.processes(), raw_descriptor_.run());
  add("raw_notified_openat", raw_notified_.processes(), raw_notified_.run());
}

void AddFiles(const Scene& scene, const SmallFile& file, Variants& variants) {
  const Options& options = scene.options;
  const std::string path = file.path();
  variants.push_back(
      {.name = "openat", .call = [path] { OpenAndClose(path); }, .calls = options.Calls(500)});
  if (options.Wants("transparent_openat")) {
    const auto supervised = StartSupervised(scene, path);
    variants.push_back({.name = "transparent_openat",
                        .calls = options.Calls(500),
                        .servers = supervised->processes,
                        .run = [supervised](int calls, std::vector<double>& times) {
                          AskToRun(supervised->questions, supervised->answers, calls, times);
                        }});
  }
  if (options.Wants("descriptor_by_stub")) {
    const std::shared_ptr<::capbroker::file::v1::FileOpener::StubInterface> stub =
        NewStub<::capbroker::file::v1::FileOpener>(
            Must(scene.broker.Open(ReadOnlyFile(path)), "open the FileOpener"));
    variants.push_back({.name = "descriptor_by_stub",
                        .call =
                            [stub, path] {
                              Must(::capbroker::file::Files(*stub).OpenForReading(path).status(),
                                   "open by stub");
                            },
                        .calls = options.Calls(500),
                        .servers = {NewestServer(scene.broker)}});
  }
}

}  // namespace capbroker::bench
