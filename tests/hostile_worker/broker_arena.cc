#include "tests/hostile_worker/broker_arena.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cstring>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_join.h"
#include "broker/testing/descendants.h"
#include "broker/testing/probe_client.h"
#include "broker/testing/probe_service.h"
#include "client/broker.h"
#include "services/net/grants.h"
#include "tests/hostile_worker/attacker.h"
#include "tests/hostile_worker/scene.h"

namespace capbroker::hostile {
namespace {

constexpr char kGranted[] = "/usr/share";
constexpr int kNeighboursPatience = 10000;  // milliseconds

std::string& Program() {
  static auto* const path = new std::string;
  return *path;
}

struct Pipe {
  UniqueFd reader, writer;
  Pipe() {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) abort();
    reader.Reset(ends[0]);
    writer.Reset(ends[1]);
  }
};

// Another worker, which goes on calling its service: once for each byte that it reads.
int RunNeighbour(Grants grants) {
  testing::ProbeClient probe(grants.Stub<testing::v1::Probe>("probe"));
  char byte;
  while (read(STDIN_FILENO, &byte, 1) == 1) {
    if (!probe.Say("a").ok() || write(STDOUT_FILENO, &byte, 1) != 1) return 1;
  }
  return 0;
}

struct Style {
  bool executed = false;
  bool supervised = false;
  bool processes = false;
  bool serving = false;
  bool spare = false;
};

class BrokerArena : public Arena {
 public:
  explicit BrokerArena(Style style) : style_(style) {
    absl::StatusOr<Broker> broker = Broker::Start({.spare_workers = style.spare ? 1 : 0});
    if (!broker.ok()) Fail(broker.status());
    broker_.emplace(*std::move(broker));
    Pipe questions, answers;
    absl::StatusOr<Worker> neighbour =
        broker_->Launch({.entry = RunNeighbour,
                         .grants = {{"probe", testing::Probe({"a"})}},
                         .standard_input = std::move(questions.reader),
                         .standard_output = std::move(answers.writer)});
    if (!neighbour.ok()) Fail(neighbour.status());
    layers_ = absl::StrJoin(neighbour->layers(), ", ");
    neighbour_.emplace(*std::move(neighbour));
    questions_ = std::move(questions.writer);
    answers_ = std::move(answers.reader);
  }

  std::string Layers() override { return layers_; }

  Record Play(const Attack& attack) override {
    Scene scene = owner_.scene();
    std::strcpy(scene.attack, attack.name.c_str());
    Pipe said;
    UniqueFd connection;
    WorkerOptions options = {
        .bounds = {.cpu_time = absl::Seconds(attack.cpu_seconds),
                   .wall_time = absl::Milliseconds(attack.wall_milliseconds),
                   .memory = Mebibytes(64),
                   .descriptors = 64,
                   .threads = 32,
                   .file_size = Mebibytes(1)},
        .input = std::string(reinterpret_cast<const char*>(&scene), sizeof scene),
        .standard_input = owner_.OpenFile(),
        .standard_output = std::move(said.writer),
        .standard_error = owner_.Connection(connection)};
    if (attack.on_lane) {
      Authority probe = testing::Probe({"a"});
      probe.wire = true;
      options.grants.push_back({"probe", std::move(probe)});
    }
    if (style_.executed) {
      options.program = Program();
    } else {
      options.entry = RunAttacker;
    }
    if (style_.supervised) {
      options.supervision =
          Supervision{.files = {FileGrant::ReadTree(kGranted)}, .processes = style_.processes};
      if (style_.serving) {
        options.supervision->servers = {
            {"server", ListenAt({"127.0.0.1"}, {std::to_string(scene.free_port)})}};
      }
    }
    // It has the bounds of the attack before, which are those of all but a few.
    const auto spare_waits = [&] { return broker_->Inspect()->spare_workers() == 1; };
    if (style_.spare && !testing::Eventually(spare_waits)) return {"no spare", "", ""};
    absl::StatusOr<Worker> worker = broker_->Launch(std::move(options));
    if (!worker.ok()) return {worker.status().ToString(), "", ""};
    const std::string text = ReadSome(said.reader, 2 * attack.wall_milliseconds);
    const WorkerEnd end = worker->Wait();
    return {OutcomeOf(text, end.signal() == 0 ? end.exit_code() : 0, end.signal(), end.violation(),
                      end.reason()),
            Harm(), text};
  }

 private:
  [[noreturn]] static void Fail(const absl::Status& status) {
    dprintf(STDERR_FILENO, "%s\n", status.ToString().c_str());
    abort();
  }

  std::string Harm() {
    if (std::string harm = owner_.Harm(); !harm.empty()) return harm;
    if (write(questions_.get(), "?", 1) != 1) return "another worker is dead";
    pollfd p = {answers_.get(), POLLIN, 0};
    char byte;
    if (poll(&p, 1, kNeighboursPatience) != 1 || read(answers_.get(), &byte, 1) != 1) {
      return "another worker's call is not answered";
    }
    const auto only_the_neighbour = [&] {
      const auto left = broker_->Inspect();
      return left.ok() && left->workers_size() == 1 && left->families_size() == 1;
    };
    if (!testing::Eventually(only_the_neighbour)) return "something is left in the broker";
    return "";
  }

  const Style style_;
  SceneOwner owner_;
  std::optional<Broker> broker_;
  std::optional<Worker> neighbour_;
  std::string layers_;
  UniqueFd questions_, answers_;
};

}  // namespace

void SetProgram(const std::string& path) { Program() = path; }
std::unique_ptr<Arena> ForkedWorkers() { return std::make_unique<BrokerArena>(Style()); }
std::unique_ptr<Arena> SpareWorkers() {
  return std::make_unique<BrokerArena>(Style{.spare = true});
}
std::unique_ptr<Arena> ExecutedWorkers() {
  return std::make_unique<BrokerArena>(Style{.executed = true});
}
std::unique_ptr<Arena> SupervisedWorkers() {
  return std::make_unique<BrokerArena>(Style{.supervised = true});
}
std::unique_ptr<Arena> RunWorkers() {
  return std::make_unique<BrokerArena>(Style{.executed = true, .supervised = true});
}
std::unique_ptr<Arena> RunWorkersWithProcesses() {
  return std::make_unique<BrokerArena>(
      Style{.executed = true, .supervised = true, .processes = true});
}
std::unique_ptr<Arena> RunServingWorkers() {
  return std::make_unique<BrokerArena>(
      Style{.executed = true, .supervised = true, .serving = true});
}

}  // namespace capbroker::hostile
