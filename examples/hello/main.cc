// hello: one sandboxed worker for each argument, with exactly the grants for it.
//
//   ./bazelw run //examples/hello -- localhost ./README.md file:///etc/hosts
//
// A host's name: the Resolver, limited to that name. A file: the FileOpener, limited
// to that file and to reading, and the GroupDatabase, limited to the id of the file's
// group. Each worker uses what it was granted, and then tries what it was not.
//
// Exit status: 0: everything granted was answered, and everything else was refused;
// 1: it was not, with the reason; 2: bad usage.
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdio>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/broker.h"
#include "examples/hello/report.pb.h"
#include "examples/hello/subject.h"
#include "examples/hello/table.h"
#include "examples/hello/visit.h"
#include "services/dns/grants.h"
#include "services/file/grants.h"
#include "services/group/grants.h"

namespace capbroker::hello {
namespace {

// What is wrong, counted and remembered for the end.
class Faults {
 public:
  void Add(std::string fault) { faults_.push_back(std::move(fault)); }
  int Finish() const {
    for (const std::string& fault : faults_) std::fprintf(stderr, "hello: %s\n", fault.c_str());
    return faults_.empty() ? 0 : 1;
  }

 private:
  std::vector<std::string> faults_;
};

// The whole authority of each worker, in one expression.
WorkerOptions OptionsFor(const Subject& subject) {
  const WorkerBounds bounds = {.cpu_time = absl::Seconds(10), .wall_time = absl::Seconds(60)};
  if (subject.kind == Subject::Kind::kHost) {
    return {.entry = VisitHost,
            .grants = {{"dns", ResolveNames({subject.name})}},
            .bounds = bounds,
            .input = subject.name};
  }
  if (!subject.group.has_value()) {
    return {.entry = VisitFile,
            .grants = {{"file", ReadOnlyFile(subject.name)}},
            .bounds = bounds,
            .input = subject.name};
  }
  return {
      .entry = VisitFile,
      .grants = {{"file", ReadOnlyFile(subject.name)}, {"group", LookUpGroupById(*subject.group)}},
      .bounds = bounds,
      .input = absl::StrCat(subject.name, absl::string_view("\0", 1), *subject.group)};
}

std::string ReadAll(const UniqueFd& pipe) {
  constexpr size_t kMost = 1 << 20;  // a worker may write for ever
  std::string all;
  char buffer[4096];
  ssize_t got;
  while (all.size() < kMost && (got = read(pipe.get(), buffer, sizeof buffer)) > 0) {
    all.append(buffer, static_cast<size_t>(got));
  }
  return all;
}

void Visit(Broker& broker, const Subject& subject, const Table& table, Faults& faults) {
  const bool host = subject.kind == Subject::Kind::kHost;
  table.Heading(subject.argument, host ? "host" : subject.name);
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return faults.Add("no pipe");
  const UniqueFd reader(ends[0]);
  WorkerOptions options = OptionsFor(subject);
  options.standard_output = UniqueFd(ends[1]);
  absl::StatusOr<Worker> worker = broker.Launch(std::move(options));
  if (!worker.ok()) {
    return faults.Add(absl::StrCat(subject.argument, ": ", worker.status().message()));
  }
  v1::Report report;
  const bool parsed = report.ParseFromString(ReadAll(reader));
  const WorkerEnd end = worker->Wait();
  if (!parsed || end.exit_code() != 0) {
    return faults.Add(absl::StrCat(subject.argument, ": its worker ", end.ToString()));
  }
  for (const v1::Fact& fact : report.facts()) {
    table.Row(Tone::kGood, "granted", fact.what(), fact.value());
  }
  if (!report.failure().empty()) {
    table.Row(Tone::kBad, "FAILED", "use what was granted", report.failure());
    faults.Add(absl::StrCat(subject.argument, ": ", report.failure()));
  }
  for (const v1::Attempt& attempt : report.attempts()) {
    table.Row(attempt.refused() ? Tone::kGood : Tone::kBad,
              attempt.refused() ? "refused" : "ALLOWED", attempt.what(), attempt.how());
    if (!attempt.refused()) {
      faults.Add(absl::StrCat(subject.argument, ": not refused: ", attempt.what()));
    }
  }
}

struct Deadly {
  const char* what;
  long number;
};
constexpr Deadly kDeadly[] = {
    {"trace a process", SYS_ptrace},
    {"read another's memory", SYS_process_vm_readv},
    {"make new namespaces", SYS_unshare},
    {"mount a file system", SYS_mount},
    {"open a file by its handle", SYS_open_by_handle_at},
    {"load a program into the kernel", SYS_bpf},
    {"submit calls past the table", SYS_io_uring_setup},
    {"use the kernel's keys", SYS_keyctl},
    {"replace its own table", SYS_seccomp},
};

// Each by a worker of its own, since it is its last act; told by the broker.
void Probe(Broker& broker, const Table& table, Faults& faults) {
  table.Heading("probes", "system calls that end a worker, as the broker reports them");
  for (const Deadly& deadly : kDeadly) {
    absl::StatusOr<Worker> worker =
        broker.Launch({.entry = TryDeadly, .input = absl::StrCat(deadly.number)});
    if (!worker.ok()) {
      faults.Add(absl::StrCat("probe: ", worker.status().message()));
      continue;
    }
    const WorkerEnd end = worker->Wait();
    const bool refused = !end.violation().empty();
    table.Row(refused ? Tone::kGood : Tone::kBad, refused ? "killed" : "SURVIVED", deadly.what,
              end.ToString());
    if (!refused) faults.Add(absl::StrCat("not refused: ", deadly.what));
  }
}

int Main(int argc, char* argv[]) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: hello HOST|PATH|file://PATH...\n");
    return 2;
  }
  std::vector<Subject> subjects;
  for (int i = 1; i < argc; ++i) {
    absl::StatusOr<Subject> subject = ParseSubject(argv[i]);
    if (!subject.ok()) {
      std::fprintf(stderr, "hello: %s: %s\n", argv[i],
                   std::string(subject.status().message()).c_str());
      return 2;
    }
    subjects.push_back(*std::move(subject));
  }
  absl::StatusOr<Broker> broker = Broker::Start();  // before any thread
  if (!broker.ok()) {
    std::fprintf(stderr, "hello: %s\n", std::string(broker.status().message()).c_str());
    return 1;
  }
  const Table table;
  Faults faults;
  for (const Subject& subject : subjects) Visit(*broker, subject, table, faults);
  Probe(*broker, table, faults);
  return faults.Finish();
}

}  // namespace
}  // namespace capbroker::hello

int main(int argc, char* argv[]) { return capbroker::hello::Main(argc, argv); }
