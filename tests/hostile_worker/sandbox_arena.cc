#include "tests/hostile_worker/sandbox_arena.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include <cstring>
#include <utility>

#include "absl/time/time.h"
#include "sandbox/worker_runner.h"
#include "tests/hostile_worker/scene.h"

namespace capbroker::hostile {
namespace {

class SandboxArena : public Arena {
 public:
  explicit SandboxArena(sandbox::LayerSet off) : runner_(off) {}

  std::string Layers() override { return runner_.sandbox().in_force().ToString(); }

  Record Play(const Attack& attack) override {
    Scene scene = owner_.scene();
    std::strcpy(scene.attack, attack.name.c_str());
    int said[2];
    if (pipe2(said, O_CLOEXEC) != 0) abort();
    const UniqueFd reader(said[0]);
    UniqueFd connection;
    sandbox::Start start;
    start.descriptors.push_back({owner_.OpenFile(), 0});
    start.descriptors.push_back({UniqueFd(said[1]), 1});
    start.descriptors.push_back({owner_.Connection(connection), 2});
    start.bounds = {.cpu_time = absl::Seconds(attack.cpu_seconds),
                    .memory_bytes = 64 << 20,
                    .descriptors = 64,
                    .threads = 32,
                    .file_size_bytes = 1 << 20};
    sandbox::RunningWorker worker =
        runner_.Start([&scene] { return MakeAttack(scene); }, std::move(start));
    const std::string text = ReadSome(reader, attack.wall_milliseconds);
    // As the broker does at the bound of wall time.
    std::string reason;
    if (!worker.IsGone(absl::Milliseconds(200))) {
      reason = "wall_time";
      worker.lifeline.Reset();
    }
    const sandbox::Story story = sandbox::Collect(std::move(worker));
    if (story.signal() == SIGXCPU) reason = "cpu_time";
    if (story.failed.has_value()) return {story.text, "", ""};
    return {OutcomeOf(text, story.signal() > 0 ? 0 : story.exit_code(),
                      story.signal() > 0 ? story.signal() : 0, story.violated_call(), reason),
            owner_.Harm(), text};
  }

 private:
  SceneOwner owner_;
  sandbox::WorkerRunner runner_;
};

}  // namespace

std::unique_ptr<Arena> WorkersWithout(sandbox::LayerSet off) {
  return std::make_unique<SandboxArena>(off);
}

}  // namespace capbroker::hostile
