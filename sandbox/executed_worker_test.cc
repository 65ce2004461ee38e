// Workers that are programs: what they find, and what they cannot do. The
// program is probe_program.cc.
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>
#include <utility>
#include <vector>

#include "base/status_matchers.h"
#include "gtest/gtest.h"
#include "sandbox/worker_runner.h"

namespace capbroker::sandbox {
namespace {

using ::capbroker::testing::StatusIs;

constexpr char kProgram[] = "sandbox/probe_program";

// A library that every program here has loaded, by its real path.
std::string LibraryPath() {
  std::string path;
  dl_iterate_phdr(
      [](dl_phdr_info* info, size_t, void* result) {
        const std::string name = info->dlpi_name;
        if (name.find("libc.so") == std::string::npos) return 0;
        *static_cast<std::string*>(result) = name;
        return 1;
      },
      &path);
  return path;
}

class ExecutedWorkerTest : public ::testing::TestWithParam<LayerSet> {
 protected:
  ExecutedWorkerTest() : runner_(GetParam(), {}) {}

  void SetUp() override {
    if (!Has(Layer::kLandlock) && !Has(Layer::kMountNamespace)) {
      GTEST_SKIP() << "programs are refused; see ExecutedWorkerAloneTest";
    }
  }

  Story Run(std::vector<std::string> arguments, std::vector<std::string> environment = {}) {
    return runner_.RunProgram(kProgram, std::move(arguments), std::move(environment));
  }
  void ExpectErrno(int error, std::vector<std::string> arguments) {
    const std::string what = arguments[0];
    const Story story = Run(std::move(arguments));
    EXPECT_EQ(story.exit_code(), error) << what << "\n" << story.text;
  }
  bool Has(Layer layer) const {
    return const_cast<WorkerRunner&>(runner_).sandbox().in_force().Has(layer);
  }

  WorkerRunner runner_;
};
INSTANTIATE_TEST_SUITE_P(Layers, ExecutedWorkerTest,
                         ::testing::Values(LayerSet(), LayerSet{Layer::kLandlock},
                                           LayerSet{Layer::kUserNamespace, Layer::kMountNamespace},
                                           LayerSet{Layer::kUnprivilegedUid}),
                         [](const auto& info) -> std::string {
                           return info.param.empty() ? "AllLayers"
                                                     : "Without" + std::to_string(info.index);
                         });

TEST_P(ExecutedWorkerTest, FindsItsArgumentsItsEnvironmentAndItsDescriptors) {
  ExpectErrno(0, {"arguments", "one", "two words"});
  ExpectErrno(0, {"environment"});
  EXPECT_EQ(Run({"one variable"}, {"NAME=value"}).exit_code(), 0);
  ExpectErrno(4, {"descriptors"});
  ExpectErrno(0, {"threads"});
  ExpectErrno(0, {"fstat"});
  ExpectErrno(0, {"print"});
  EXPECT_EQ(Run({"abort"}).signal(), SIGABRT);
}

TEST_P(ExecutedWorkerTest, ReadsLibrariesAndNothingElse) {
  const int error = Has(Layer::kLandlock) && !Has(Layer::kMountNamespace) ? EACCES : ENOENT;
  ExpectErrno(error, {"open passwd"});
  ExpectErrno(error, {"open home"});
  ExpectErrno(error, {"open proc"});
  ExpectErrno(0, {"open library", LibraryPath()});
  ExpectErrno(0, {"map library code", LibraryPath()});
  ExpectErrno(0, {"dlopen", "libm.so.6"});
  ExpectErrno(EACCES, {"write library", LibraryPath()});
  ExpectErrno(EACCES, {"create in libraries"});
}

TEST_P(ExecutedWorkerTest, MakesNoCodeAndNoProcesses) {
  ExpectErrno(EPERM, {"map writable code"});
  ExpectErrno(EPERM, {"map anonymous code"});
  ExpectErrno(EACCES, {"make code"});
  ExpectErrno(EPERM, {"memfd"});
  ExpectErrno(EPERM, {"fork"});
}

TEST_P(ExecutedWorkerTest, ExecutesNothingAfterItsStart) {
  ExpectErrno(EACCES, {"execute again", LibraryPath()});
  ExpectErrno(EACCES, {"execve"});
}

TEST_P(ExecutedWorkerTest, DiesAtAViolationThatTheReportNames) {
  const Story story = Run({"ptrace"});
  EXPECT_GT(story.signal(), 0) << story.text;
  if (Has(Layer::kViolationReports)) {
    EXPECT_EQ(story.violated_call(), "ptrace") << story.text;
  }
}

TEST_P(ExecutedWorkerTest, RunsAProgramThatHasNoName) {
  const UniqueFd file(open(kProgram, O_RDONLY | O_CLOEXEC));
  UniqueFd memory(memfd_create("program", MFD_CLOEXEC));
  ASSERT_TRUE(file.valid() && memory.valid());
  while (sendfile(memory.get(), file.get(), nullptr, 1 << 20) > 0) {
  }
  ASSERT_EQ(fchmod(memory.get(), 0755), 0);
  Start start;
  auto [mine, workers] = SocketPair(SOCK_SEQPACKET);
  start.report = std::move(workers);
  start.descriptors.push_back({UniqueFd(open("/dev/null", O_RDWR | O_CLOEXEC)), 3});
  // A file that is open for writing cannot be executed.
  UniqueFd program(
      open(("/proc/self/fd/" + std::to_string(memory.get())).c_str(), O_RDONLY | O_CLOEXEC));
  memory.Reset();
  RunningWorker worker;
  ASSERT_OK_AND_ASSIGN(
      worker.started,
      runner_.sandbox().Execute(std::move(start), std::move(program), {"nameless", "fstat"}, {}));
  worker.reports = std::move(mine);
  const Story story = Collect(std::move(worker));
  EXPECT_EQ(story.exit_code(), 0) << story.text;
}

TEST_P(ExecutedWorkerTest, NeedsANameForItself) {
  EXPECT_THAT(
      runner_.sandbox().Execute({}, UniqueFd(open(kProgram, O_PATH | O_CLOEXEC)), {}, {}).status(),
      StatusIs(absl::StatusCode::kInvalidArgument));
}

// INVARIANT(fail-closed)
TEST(ExecutedWorkerAloneTest, IsRefusedWhereNothingSaysWhatItMayOpen) {
  WorkerRunner runner({Layer::kLandlock, Layer::kMountNamespace});
  EXPECT_THAT(runner.sandbox()
                  .Execute({}, UniqueFd(open(kProgram, O_PATH | O_CLOEXEC)), {"x"}, {})
                  .status(),
              StatusIs(absl::StatusCode::kFailedPrecondition));
}

}  // namespace
}  // namespace capbroker::sandbox
