// The fuzzer for every build: inputs made from drawn messages by small damage, from a
// seed, so that a run can be repeated. A run of a fixed number of inputs is a test; a
// nightly one says for how long.
//
//   foo_fuzz                              10000 inputs, seed 1: the test
//   foo_fuzz --seconds=600                a seed of its own, which is printed
//   foo_fuzz --seed=5 --inputs=1000000
//   foo_fuzz FILE...                      these inputs again
//
// What was at fault is written to a file before the program dies. Runs in tests.
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "tools/fuzz/mutation.h"
#include "tools/fuzz/service_fuzz.h"

namespace capbroker::fuzz {
namespace {

constexpr uint64_t kInputsOfATest = 10'000;
constexpr int kSeeds = 400;
constexpr size_t kLargestInput = 8192;

// What the signal handler writes.
const std::string* g_input = nullptr;
char g_path[4096] = "";

void WriteInputAndDie(int signal) {
  const int fd = open(g_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd >= 0 && g_input != nullptr) {
    const ssize_t written = write(fd, g_input->data(), g_input->size());
    const char message[] = "the input was written to ";
    if (written == static_cast<ssize_t>(g_input->size()) &&
        write(STDERR_FILENO, message, sizeof(message) - 1) > 0 &&
        write(STDERR_FILENO, g_path, strlen(g_path)) > 0) {
      (void)!write(STDERR_FILENO, "\n", 1);
    }
  }
  raise(signal);  // SA_RESETHAND: dies
}

void KeepFaultyInputs() {
  const char* folder = std::getenv("TEST_UNDECLARED_OUTPUTS_DIR");
  std::snprintf(g_path, sizeof(g_path), "%s/faulty_input.%d", folder == nullptr ? "." : folder,
                static_cast<int>(getpid()));
  struct sigaction action = {};
  action.sa_handler = WriteInputAndDie;
  action.sa_flags = SA_RESETHAND | SA_NODEFER;
  for (const int signal : {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL}) {
    sigaction(signal, &action, nullptr);
  }
}

struct Options {
  uint64_t seed = 1;
  uint64_t inputs = kInputsOfATest;
  uint64_t seconds = 0;
  std::vector<std::string> files;
};

bool Parse(int argc, char* argv[], Options& options) {
  bool seeded = false;
  for (int i = 1; i < argc; ++i) {
    absl::string_view argument = argv[i];
    if (absl::ConsumePrefix(&argument, "--seed=")) {
      seeded = true;
      if (!absl::SimpleAtoi(argument, &options.seed)) return false;
    } else if (absl::ConsumePrefix(&argument, "--inputs=")) {
      if (!absl::SimpleAtoi(argument, &options.inputs)) return false;
    } else if (absl::ConsumePrefix(&argument, "--seconds=")) {
      if (!absl::SimpleAtoi(argument, &options.seconds)) return false;
    } else if (absl::ConsumePrefix(&argument, "--")) {
      return false;
    } else {
      options.files.emplace_back(argument);
    }
  }
  if (options.seconds != 0 && !seeded) options.seed = std::random_device()();
  return true;
}

bool RunFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream content;
  content << file.rdbuf();
  const std::string input = content.str();
  if (!file) return false;
  for (const auto& service : FuzzedServices()) service->Run(input);
  return true;
}

void Fuzz(ServiceFuzz& service, const Options& options) {
  const auto start = std::chrono::steady_clock::now();
  const auto over = [&](uint64_t inputs) {
    if (options.seconds == 0) return inputs >= options.inputs;
    return (inputs & 255) == 0 &&
           std::chrono::steady_clock::now() - start >= std::chrono::seconds(options.seconds);
  };
  Mutation mutation(options.seed);
  std::vector<std::string> corpus = service.Seeds(options.seed, kSeeds);
  corpus.emplace_back();
  const auto run = [&service](const std::string& input) {
    g_input = &input;
    service.Run(input);
    g_input = nullptr;
  };
  for (const std::string& input : corpus) run(input);
  uint64_t drawn = 0;
  for (uint64_t inputs = corpus.size(); !over(inputs); ++inputs) {
    const uint64_t before = service.counts().dispatched;
    const std::string& other = corpus[mutation.Below(corpus.size())];
    std::string input = corpus[mutation.Below(corpus.size())];
    // Mostly the request: damaged limits are refused as a whole, and allow nothing then.
    const size_t kept = mutation.Below(4) == 0 ? 0 : RequestOf(input);
    input = input.substr(0, kept) + mutation.Mutate(input.substr(kept), other, kLargestInput);
    run(input);
    // What was still let through is worth changing further, in place of another input of
    // the same method: one that lets everything through would soon be the only one left.
    std::string& old = corpus[mutation.Below(corpus.size())];
    if (service.counts().dispatched != before) {
      if (old.substr(0, 1) == input.substr(0, 1)) old = std::move(input);
    } else if (inputs % 16 == 0) {
      std::vector<std::string> fresh = service.Seeds(options.seed + ++drawn, 1);
      if (!fresh.empty()) old = std::move(fresh[0]);
    }
  }
}

void Report(const ServiceFuzz& service, const Options& options) {
  const Counts& counts = service.counts();
  std::printf("%s: %llu inputs, %llu with limits, %llu parsed, %llu dispatched, --seed=%llu\n",
              service.schema().name().c_str(), static_cast<unsigned long long>(counts.inputs),
              static_cast<unsigned long long>(counts.limits),
              static_cast<unsigned long long>(counts.parsed),
              static_cast<unsigned long long>(counts.dispatched),
              static_cast<unsigned long long>(options.seed));
  for (size_t i = 0; i < service.dispatched().size(); ++i) {
    if (service.dispatched()[i] == 0) {
      std::printf("  %s was never let through\n", service.schema().methods()[i].name().c_str());
    }
  }
}

int Main(int argc, char* argv[]) {
  Options options;
  if (!Parse(argc, argv, options)) {
    std::fprintf(stderr, "usage: %s [--seed=N] [--inputs=N | --seconds=N] [FILE...]\n", argv[0]);
    return 2;
  }
  for (const std::string& path : options.files) {
    if (!RunFile(path)) {
      std::fprintf(stderr, "%s: cannot be read\n", path.c_str());
      return 2;
    }
  }
  if (!options.files.empty()) return 0;
  KeepFaultyInputs();
  for (const auto& service : FuzzedServices()) {
    std::printf("%s: --seed=%llu\n", service->schema().name().c_str(),
                static_cast<unsigned long long>(options.seed));
    std::fflush(stdout);
    Fuzz(*service, options);
    Report(*service, options);
  }
  return 0;
}

}  // namespace
}  // namespace capbroker::fuzz

int main(int argc, char* argv[]) { return capbroker::fuzz::Main(argc, argv); }
