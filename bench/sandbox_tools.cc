#include "bench/sandbox_tools.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "bench/forked.h"
#include "bench/must.h"
#include "bench/starts.h"
#include "transport/channel.h"

namespace capbroker::bench {
namespace {

struct Tool {
  std::string name;
  // All the namespaces that a worker has, and the host's files to be read.
  std::vector<std::string> command;
};

std::vector<Tool> Tools() {
  return {
      {"bubblewrap",
       {"bwrap", "--unshare-all", "--unshare-user", "--die-with-parent", "--ro-bind", "/", "/",
        "--proc", "/proc", "--dev", "/dev", "--"}},
      {"minijail",
       {"minijail0", "-U", "-m0 1000 1", "-M0 1000 1", "-p", "-v", "-e", "-l", "--uts", "-r", "-n",
        "-T", "static", "--"}},
      {"nsjail",
       {"nsjail", "-Mo", "-Q", "-c", "/", "-u", "1000", "-g", "1000", "--seccomp_string",
        "ERRNO(1) { ptrace, bpf, perf_event_open } DEFAULT ALLOW", "--"}},
      {"firejail",
       {"firejail", "--quiet", "--noprofile", "--net=none", "--ipc-namespace", "--caps.drop=all",
        "--seccomp", "--nonewprivs", "--"}},
  };
}

// A confined program that has written a byte, and ends when `hold` is closed.
struct Confined {
  pid_t process;
  UniqueFd hold;
};

// Where the programs that `channel` is for find it.
constexpr int kChannelNumber = 3;

std::optional<Confined> StartConfined(const std::vector<std::string>& command, UniqueFd channel) {
  Pipe said = MakePipe();
  Pipe hold = MakePipe();
  const UniqueFd null(open("/dev/null", O_WRONLY | O_CLOEXEC));
  std::vector<char*> arguments;
  for (const std::string& argument : command) {
    arguments.push_back(const_cast<char*>(argument.c_str()));
  }
  arguments.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, hold.reader.get(), STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&actions, said.writer.get(), STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, null.get(), STDERR_FILENO);
  if (channel.valid()) {
    posix_spawn_file_actions_adddup2(&actions, channel.get(), kChannelNumber);
  }
  pid_t process = 0;
  const int error =
      posix_spawnp(&process, arguments[0], &actions, nullptr, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) return std::nullopt;
  said.writer.Reset();
  char byte;
  if (read(said.reader.get(), &byte, 1) != 1) {
    waitpid(process, nullptr, 0);
    return std::nullopt;
  }
  return Confined{process, std::move(hold.writer)};
}

void End(std::optional<Confined>& confined) {
  confined->hold.Reset();
  waitpid(confined->process, nullptr, 0);
  confined.reset();
}

bool OnPath(const std::string& program) {
  const char* path = getenv("PATH");
  for (const auto& folder : absl::StrSplit(path == nullptr ? "" : path, ':')) {
    if (access(absl::StrCat(folder, "/", program).c_str(), X_OK) == 0) return true;
  }
  return false;
}

void Add(const std::string& name, const std::vector<std::string>& command, bool with_channel,
         const Scene& scene, Variants& variants) {
  if (!scene.options.Wants(name)) return;
  const auto start = [command, with_channel, echo = scene.echo] {
    UniqueFd channel;
    if (with_channel) channel = Must(Must(echo->Clone(), "clone")->Release(), "release");
    return StartConfined(command, std::move(channel));
  };
  std::optional<Confined> first = start();
  if (!first.has_value()) {
    std::fprintf(stderr, "bench: %s is left out: %s fails here\n", name.c_str(),
                 command[0].c_str());
    return;
  }
  End(first);
  const auto confined = std::make_shared<std::optional<Confined>>();
  variants.push_back({.name = name,
                      .call =
                          [start, confined] {
                            *confined = start();
                            Must(confined->has_value(), "start a sandbox tool");
                          },
                      .calls = scene.options.Calls(10),
                      .after = [confined] { End(*confined); }});
}

}  // namespace

void AddSandboxTools(const Scene& scene, Variants& variants) {
  for (const Tool& tool : Tools()) {
    if (!OnPath(tool.command[0])) {
      std::fprintf(stderr, "bench: %s_start is left out: no %s on PATH\n", tool.name.c_str(),
                   tool.command[0].c_str());
      continue;
    }
    std::vector<std::string> command = tool.command;
    command.insert(command.end(), {"/bin/echo", "."});
    Add(tool.name + "_start", command, /*with_channel=*/false, scene, variants);
    if (tool.name != "bubblewrap") continue;
    command = tool.command;
    command.insert(command.end(), {PingProgram(), absl::StrCat(kChannelNumber)});
    Add("bubblewrap_exec", command, /*with_channel=*/true, scene, variants);
  }
}

}  // namespace capbroker::bench
