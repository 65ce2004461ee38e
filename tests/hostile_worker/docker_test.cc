// The command in a container of Docker's, with and without Landlock: what it says is missing, what
// works all the same, and what does not start.
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <random>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/unique_fd.h"
#include "client/broker.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/hostile_worker/hosts.h"
#include "tests/hostile_worker/installed_copy.h"
#include "tests/hostile_worker/stage.h"

namespace capbroker::hostile {
namespace {

using ::testing::HasSubstr;

constexpr int kPatience = 30000;  // milliseconds

// What a shell there prints in an empty directory of everybody's. $C: the command.
std::string InContainer(bool (*enter)(), const std::string& script) {
  const std::string capbroker = InstalledCopy("cli/capbroker");
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) abort();
  const UniqueFd reader(ends[0]);
  UniqueFd writer(ends[1]);
  const std::string text =
      absl::StrCat("D=$(mktemp -d) && cd $D && C=", capbroker, "; ", script, "; rm -r $D");
  const pid_t shell = fork();
  if (shell == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (!enter() || dup2(writer.get(), 1) < 0 || dup2(1, 2) < 0) _exit(1);
    execl("/bin/sh", "sh", "-c", text.c_str(), nullptr);
    _exit(1);
  }
  writer.Reset();
  std::string said = ReadSome(reader, kPatience);
  waitpid(shell, nullptr, 0);
  return said;
}

class DockerTest : public ::testing::TestWithParam<bool (*)()> {};
INSTANTIATE_TEST_SUITE_P(Users, DockerTest,
                         ::testing::Values(AsRootInDocker, AsOrdinaryUserInDocker));

TEST_P(DockerTest, CheckNamesWhatIsMissing) {
  const std::string said = InContainer(GetParam(), "$C check");
  for (const char* line :
       {"yes  landlock", "yes  system call table", "no   user namespace", "no   pid namespace",
        "a container whose seccomp profile allows clone and unshare with namespaces",
        "no connections: pidfd_getfd is forbidden", "Workers start here."}) {
    EXPECT_THAT(said, HasSubstr(line));
  }
}

TEST_P(DockerTest, ProgramsReadAndWriteWhatTheyAreGranted) {
  const auto prints = [](const std::string& script) { return InContainer(GetParam(), script); };
  EXPECT_EQ(prints("echo hello > letter; $C run --grant file:read:letter -- cat letter"),
            "hello\n");
  EXPECT_EQ(prints("echo hello > letter; $C run -- /usr/bin/cat letter"),
            "/usr/bin/cat: letter: No such file or directory\n");
  EXPECT_EQ(prints("echo hello | $C run -- gzip -c | $C run -- gzip -dc"), "hello\n");
  EXPECT_EQ(prints("$C run --grant file:write:. -- mkdir made && ls"), "made\n");
  EXPECT_EQ(prints("$C run -- /usr/bin/python3 -I -c 'print(6 * 7)'"), "42\n");
}

// Of which the supervisor sees what the descriptors are of, and nothing else.
TEST_P(DockerTest, ProgramsGoFromTheirDirectoriesAndChangeFilesThatAreOpen) {
  const auto prints = [](const std::string& script) { return InContainer(GetParam(), script); };
  EXPECT_EQ(prints("mkdir sub; echo inner > sub/f; "
                   "$C run --grant file:read:. -- sh -c 'cd sub && read a < f; echo $a'"),
            "inner\n");
  EXPECT_EQ(
      prints("mkdir -p a/b; echo hello > a/b/f; chmod 640 a/b/f; touch -d @1000 a/b/f; mkdir o; "
             "$C run --grant file:read:a --grant file:write:o -- tar -cf o/t a && "
             "$C run --grant file:write:o -- tar -C o -xf o/t && "
             "cat o/a/b/f && stat -c '%a %Y' o/a/b/f"),
      "hello\n640 1000\n");
  EXPECT_EQ(prints("mkdir -p a/b; touch a/b/f; $C run --grant file:read:. -- find a -type f"),
            "a/b/f\n");
  EXPECT_EQ(prints("printf 'b\\na\\n' > f; $C run --grant file:write:. -- sort -o f f; cat f"),
            "a\nb\n");
  EXPECT_EQ(prints("echo hello > f; touch -d @1000 f; $C run --grant file:write:. -- gzip -k f && "
                   "stat -c %Y f.gz && $C run --grant file:read:f.gz -- gzip -dc f.gz"),
            "1000\nhello\n");
}

// The names of others are not among those that its descriptors give.
TEST_P(DockerTest, ADescriptorTellsNothingOfPathsBesideIt) {
  EXPECT_EQ(InContainer(GetParam(),
                        "$C run -- /usr/bin/python3 -I -c 'import ctypes, os\n"
                        "status = ctypes.create_string_buffer(144)\n"
                        "libc = ctypes.CDLL(None, use_errno=True)\n"
                        "look = lambda path: libc.fstatat(0, path, status, 0x1000)\n"
                        "print(look(b\"\"), look(b\"/etc/passwd\"))'"),
            "0 -1\n");
}

TEST_P(DockerTest, ConnectionsAndProcessesDoNotStartAndSayWhy) {
  EXPECT_EQ(InContainer(GetParam(), "$C run --grant connect:localhost:9 -- true"),
            "capbroker: start worker: connections need pidfd_getfd, which this host forbids\n");
  EXPECT_EQ(InContainer(GetParam(), "$C run --grant exec:/usr/bin/true -- true"),
            "capbroker: start worker: processes need a pid namespace\n");
}

// Where workers share their user's id, the kernel counts all threads of that user together.
TEST(DockerUserTest, WhatElseAUserRunsDoesNotUseUpAWorkersThreads) {
  // Nobody is other tests' user, too.
  HaveOrdinaryUser(20000 + std::random_device()() % 40000);
  const std::string said = InContainer(
      AsOrdinaryUserInDocker,
      "i=0; while [ $i -lt 80 ]; do sleep 60 & P=\"$P $!\"; i=$((i + 1)); done; "
      "$C run --bound threads=64 -- /usr/bin/python3 -I -c '\n"
      "import os, threading\n"
      "begun = 1\n"
      "try:\n"
      "  while begun < 300:\n"
      "    threading.Thread(target=threading.Event().wait, daemon=True).start()\n"
      "    begun += 1\n"
      "except RuntimeError: pass\n"
      "print(\"some\" if begun < 20 else \"all\" if begun == 300 else \"enough\", flush=True)\n"
      "os._exit(0)'; kill $P");
  EXPECT_EQ(said, "enough\n");
}

// INVARIANT(fail-closed)
TEST(DockerWithoutLandlockTest, NothingStartsAndSaysWhy) {
  const std::string said =
      InContainer(AsOrdinaryUserInDockerWithoutLandlock, "$C run -- /bin/echo started");
  EXPECT_THAT(said, HasSubstr("workers need the system call table, and Landlock or namespaces: "
                              "landlock: the kernel has no Landlock"));
  EXPECT_THAT(said, ::testing::Not(HasSubstr("started\n")));
  EXPECT_THAT(InContainer(AsOrdinaryUserInDockerWithoutLandlock, "$C check"),
              HasSubstr("No worker starts here."));
}

// INVARIANT(fail-closed): the zygote asks for the floor, whatever a worker is.
TEST(DockerWithoutLandlockTest, NoForkedWorkerStarts) {
  const pid_t application = fork();
  if (application == 0) {
    if (!AsOrdinaryUserInDockerWithoutLandlock()) _exit(1);
    absl::StatusOr<Broker> broker = Broker::Start();
    if (!broker.ok()) _exit(2);
    const absl::Status status = broker->Launch({.entry = [](Grants) { return 0; }}).status();
    _exit(absl::IsFailedPrecondition(status) &&
                  absl::StrContains(status.message(), "workers need the system call table")
              ? 0
              : 3);
  }
  int status = 1;
  ASSERT_EQ(waitpid(application, &status, 0), application);
  EXPECT_EQ(status, 0);
}

}  // namespace
}  // namespace capbroker::hostile
