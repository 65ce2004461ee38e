#include "tests/hostile_worker/run_arena.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/unique_fd.h"
#include "tests/hostile_worker/scene.h"

namespace capbroker::hostile {
namespace {

// What the user's shell has, and a program must not get.
constexpr int kLeftOpen = 7;
constexpr char kSecret[] = "TOKEN=secret";
// Of the command: it could not start the program.
constexpr int kNotStarted = 125;
constexpr int kPatience = 20000;  // milliseconds

struct Commands {
  std::string capbroker, program;
};
Commands& Installed() {
  static auto* const commands = new Commands;
  return *commands;
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

// The command with these standard descriptors.
pid_t StartCommand(const std::vector<std::string>& arguments, FdRef input, FdRef output,
                   FdRef error) {
  std::vector<const char*> argv;
  for (const std::string& argument : arguments) argv.push_back(argument.c_str());
  argv.push_back(nullptr);
  const char* const environment[] = {"PATH=/usr/bin:/bin", kSecret, nullptr};
  const pid_t child = fork();
  if (child != 0) return child;
  if (dup2(input.get(), kLeftOpen) < 0 || dup2(input.get(), 0) < 0 || dup2(output.get(), 1) < 0 ||
      dup2(error.get(), 2) < 0) {
    _exit(kNotStarted);
  }
  execve(Installed().capbroker.c_str(), const_cast<char* const*>(argv.data()),
         const_cast<char* const*>(environment));
  _exit(kNotStarted);
}

int ExitCodeOf(pid_t command) {
  int status = 0;
  while (waitpid(command, &status, 0) != command && errno == EINTR) {
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : kNotStarted;
}

// "capbroker: killed: the system call ptrace is not allowed"
std::string OutcomeOfRun(const std::string& said, const std::string& errors, int exit_code) {
  for (absl::string_view line : absl::StrSplit(errors, '\n')) {
    if (!absl::ConsumePrefix(&line, "capbroker: ")) continue;
    if (exit_code == kNotStarted) return absl::StrCat("not started: ", line);
    if (absl::ConsumePrefix(&line, "killed: the system call ")) {
      return OutcomeOf(said, 0, 0, std::string(absl::StripSuffix(line, " is not allowed")), "");
    }
    if (absl::ConsumePrefix(&line, "killed: ")) {
      return OutcomeOf(said, 0, 0, "", std::string(line));
    }
  }
  return OutcomeOf(said, exit_code > 128 ? 0 : exit_code, exit_code > 128 ? exit_code - 128 : 0, "",
                   "");
}

class RunArena : public Arena {
 public:
  explicit RunArena(std::vector<std::string> options) : options_(std::move(options)) {
    const UniqueFd null(open("/dev/null", O_RDWR | O_CLOEXEC));
    Pipe said;
    const pid_t command = StartCommand({"capbroker", "check"}, null, said.writer, null);
    said.writer.Reset();
    const std::string text = ReadSome(said.reader, kPatience);
    ExitCodeOf(command);
    std::vector<std::string> layers;
    for (absl::string_view line : absl::StrSplit(text, '\n')) {
      if (absl::ConsumePrefix(&line, "  yes  ")) layers.emplace_back(line);
    }
    layers_ = absl::StrJoin(layers, ", ");
  }

  std::string Layers() override { return layers_; }

  Record Play(const Attack& attack) override {
    Scene scene = owner_.scene();
    std::strcpy(scene.attack, attack.name.c_str());
    std::vector<std::string> arguments = {"capbroker", "run", "--refuse", "capability"};
    for (const std::string& bound : {absl::StrCat("cpu-seconds=", attack.cpu_seconds),
                                     absl::StrCat("wall-seconds=", attack.wall_milliseconds / 1000),
                                     std::string("memory-mib=64"), std::string("descriptors=64"),
                                     std::string("threads=32"), std::string("file-mib=1")}) {
      arguments.insert(arguments.end(), {"--bound", bound});
    }
    arguments.insert(arguments.end(), options_.begin(), options_.end());
    arguments.insert(arguments.end(), {"--", Installed().program,
                                       absl::BytesToHexString(absl::string_view(
                                           reinterpret_cast<const char*>(&scene), sizeof scene))});
    Pipe said;
    UniqueFd kept;
    UniqueFd connection = owner_.Connection(kept);
    const pid_t command = StartCommand(arguments, owner_.OpenFile(), said.writer, connection);
    said.writer.Reset();
    connection.Reset();
    const std::string text = ReadSome(said.reader, 2 * attack.wall_milliseconds);
    const int exit_code = ExitCodeOf(command);
    return {OutcomeOfRun(text, ReadSome(kept, kPatience), exit_code), owner_.Harm(), text};
  }

 private:
  const std::vector<std::string> options_;
  SceneOwner owner_;
  std::string layers_;
};

}  // namespace

void SetRun(const std::string& capbroker, const std::string& program) {
  Installed() = {capbroker, program};
}

std::unique_ptr<Arena> ProgramsRunWith(std::vector<std::string> options) {
  return std::make_unique<RunArena>(std::move(options));
}

}  // namespace capbroker::hostile
