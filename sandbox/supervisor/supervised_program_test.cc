// Debian's programs, as they are, under grants: they open what was granted, and fail as programs
// fail elsewhere. None of them knows of this project.
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "sandbox/supervisor/capability_errno.h"
#include "sandbox/supervisor/supervised_fixture.h"
#include "sandbox/supervisor/supervision.h"

namespace capbroker::sandbox {
namespace {

constexpr char kProbe[] = "sandbox/probe_program";

struct Outcome {
  int exit_code = -1;
  std::string output;
  std::string errors;
  std::string story;
};

class SupervisedProgramTest : public ::testing::TestWithParam<Setting> {
 protected:
  SupervisedProgramTest() : runner_(GetParam().off, {}, GetParam().most) {}

  void SetUp() override {
    const LayerSet needed = {Layer::kLandlock, Layer::kViolationReports};
    if (!runner_.sandbox().in_force().HasAll(needed))
      GTEST_SKIP() << "grants need " << needed.ToString();
  }

  Outcome Run(std::vector<FileGrant> grants, const std::string& program,
              std::vector<std::string> arguments, Refusal refusal = Refusal::kNotCapable) {
    Supervision supervision;
    supervision.files = std::move(grants);
    supervision.refusal = refusal;
    return Run(std::move(supervision), program, std::move(arguments));
  }

  Outcome Run(Supervision supervision, const std::string& program,
              std::vector<std::string> arguments) {
    auto [output, its_output] = SocketPair(SOCK_STREAM);
    auto [errors, its_errors] = SocketPair(SOCK_STREAM);
    Start start;
    start.supervision = std::move(supervision);
    start.descriptors.push_back({std::move(its_output), 1});
    start.descriptors.push_back({std::move(its_errors), 2});
    RunningWorker worker = runner_.StartProgram(
        program, std::move(arguments), {"LC_ALL=C.UTF-8", "PATH=/usr/bin:/bin"}, std::move(start));
    Outcome outcome;
    outcome.output = ContentOf(output.get());
    outcome.errors = ContentOf(errors.get());
    const Story story = Collect(std::move(worker));
    outcome.exit_code = story.exit_code();
    outcome.story = story.text;
    return outcome;
  }

  // A shell that may run what is in /usr/bin, with data/ granted for writing.
  Outcome RunShell(const std::string& command) {
    Supervision supervision;
    supervision.files = {FileGrant::RunTree("/usr/bin"), FileGrant::WriteTree(Path("data")),
                         FileGrant::WriteFile("/dev/null")};
    supervision.working_directory = Path("data");
    supervision.processes = true;
    return Run(std::move(supervision), "/usr/bin/sh", {"-c", command});
  }
  bool HasPidNamespace() { return runner_.sandbox().in_force().Has(Layer::kPidNamespace); }

  // Runs with data/ granted for reading.
  Outcome Run(const std::string& program, std::vector<std::string> arguments) {
    return Run({FileGrant::ReadTree(files_.Path("data"))}, program, std::move(arguments));
  }
  void ExpectOutput(const std::string& expected, const std::string& program,
                    std::vector<std::string> arguments) {
    const Outcome outcome = Run(program, std::move(arguments));
    EXPECT_EQ(outcome.output, expected) << program << ": " << outcome.errors << outcome.story;
    EXPECT_EQ(outcome.exit_code, 0) << program << ": " << outcome.errors << outcome.story;
    EXPECT_EQ(outcome.errors, "") << program;
  }
  void ExpectRefusal(const std::string& program, std::vector<std::string> arguments) {
    const Outcome outcome = Run(program, std::move(arguments));
    EXPECT_EQ(outcome.output, "") << program;
    EXPECT_GT(outcome.exit_code, 0) << program << ": " << outcome.story;
    EXPECT_NE(outcome.errors.find("error " + std::to_string(kEnotcapable)), std::string::npos)
        << program << ": " << outcome.errors;
  }
  std::string Path(const std::string& relative) const { return files_.Path(relative); }

  Files files_;
  WorkerRunner runner_;
};
INSTANTIATE_TEST_SUITE_P(Layers, SupervisedProgramTest,
                         ::testing::Values(Setting{}, Setting{{Layer::kMountNamespace}},
                                           Setting{{Layer::kUserNamespace}},
                                           Setting{kNamespaces.With(Layer::kUnprivilegedUid)},
                                           kHandles, kHandlesOfOneUser),
                         NameOf);

TEST_P(SupervisedProgramTest, ReadWhatWasGranted) {
  ExpectOutput("hello\n", "/usr/bin/cat", {Path("data/hello")});
  ExpectOutput("deep\n", "/usr/bin/head", {"-n1", Path("data/link")});
  ExpectOutput("hello\ndeep\n", "/usr/bin/cat", {Path("data/hello"), Path("data/sub/deep")});
  ExpectOutput("5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03  " +
                   Path("data/hello") + "\n",
               "/usr/bin/sha256sum", {Path("data/hello")});
  ExpectOutput("1 " + Path("data/hello") + "\n", "/usr/bin/wc", {"-l", Path("data/hello")});
  ExpectOutput("deep\nhello\n", "/usr/bin/sort", {Path("data/hello"), Path("data/sub/deep")});
  ExpectOutput("6\n", "/usr/bin/stat", {"-c%s", Path("data/hello")});
  ExpectOutput("sub/deep\n", "/usr/bin/readlink", {Path("data/link")});
  ExpectOutput(Path("data/sub/deep") + "\n", "/usr/bin/realpath", {Path("data/link")});
  ExpectOutput("0\n", "/usr/bin/sh", {"-c", "cd " + Path("data") + " && test -r hello; echo $?"});
}

TEST_P(SupervisedProgramTest, ListAndSearchDirectories) {
  ExpectOutput("deep\n", "/usr/bin/ls", {Path("data/sub")});
  ExpectOutput(".\n..\ndeep\n", "/usr/bin/ls", {"-a", Path("data/sub")});
  const Outcome listing = Run("/usr/bin/ls", {"-l", Path("data")});
  EXPECT_EQ(listing.exit_code, 0) << listing.errors << listing.story;
  EXPECT_NE(listing.output.find("link -> sub/deep"), std::string::npos) << listing.output;
  EXPECT_EQ(listing.errors, "");
  ExpectOutput(Path("data/sub/deep") + "\n", "/usr/bin/find",
               {Path("data/sub"), "-type", "f", "-name", "d*"});
  ExpectOutput(Path("data/sub/deep") + "\n", "/usr/bin/grep", {"-rl", "deep", Path("data/sub")});
}

TEST_P(SupervisedProgramTest, CompressWhatWasGranted) {
  const Outcome packed = Run("/usr/bin/gzip", {"-c", Path("data/hello")});
  ASSERT_EQ(packed.exit_code, 0) << packed.errors << packed.story;
  files_.Write("data/hello.gz", packed.output);
  ExpectOutput("hello\n", "/usr/bin/gzip", {"-dc", Path("data/hello.gz")});
}

// The C library's own look-ups are files and, behind them, sockets, which nobody grants.
TEST_P(SupervisedProgramTest, FindUsersAndHostsInGrantedFiles) {
  const std::vector<FileGrant> grants = {FileGrant::ReadFile("/etc/passwd"),
                                         FileGrant::ReadFile("/etc/hosts"),
                                         FileGrant::ReadFile("/etc/nsswitch.conf")};
  const Outcome user = Run(grants, "/usr/bin/getent", {"passwd", "root"});
  EXPECT_EQ(user.exit_code, 0) << user.errors << user.story;
  EXPECT_EQ(user.output.rfind("root:", 0), 0u) << user.output;
  // The resolver insists on an errno that it knows for /etc/resolv.conf.
  for (const char* how : {"hosts", "ahosts"}) {  // gethostbyname(), getaddrinfo()
    const Outcome host = Run(grants, "/usr/bin/getent", {how, "localhost"}, Refusal::kAccess);
    EXPECT_EQ(host.exit_code, 0) << how << host.errors << host.story;
    EXPECT_NE(host.output.find("localhost"), std::string::npos) << how << host.output;
  }
  const Outcome refused = Run("/usr/bin/getent", {"passwd", "root"});
  EXPECT_EQ(refused.output, "");
  EXPECT_EQ(refused.exit_code, 2) << refused.story;
}

TEST_P(SupervisedProgramTest, WriteWhereItWasGranted) {
  const Outcome copy = Run({FileGrant::ReadTree(Path("data")), FileGrant::WriteTree(Path("other"))},
                           "/usr/bin/cp", {Path("data/hello"), Path("other/copy")});
  EXPECT_EQ(copy.exit_code, 0) << copy.errors << copy.story;
  EXPECT_EQ(Content(Path("other/copy")), "hello\n");
  const Outcome refused = Run({FileGrant::ReadTree(Path("data"))}, "/usr/bin/cp",
                              {Path("data/hello"), Path("data/copy")});
  EXPECT_EQ(refused.exit_code, 1) << refused.story;
  EXPECT_EQ(Content(Path("data/copy")), "errno 2");
}

TEST_P(SupervisedProgramTest, RearrangeATreeForWriting) {
  const std::vector<FileGrant> grants = {FileGrant::WriteTree(Path("data"))};
  const std::pair<const char*, std::vector<std::string>> commands[] = {
      {"/usr/bin/mkdir", {"-p", Path("data/a/b/c")}},
      {"/usr/bin/mv", {Path("data/hello"), Path("data/a/b")}},
      {"/usr/bin/rm", {"-r", Path("data/sub")}},
  };
  for (const auto& [program, arguments] : commands) {
    const Outcome outcome = Run(grants, program, arguments);
    EXPECT_EQ(outcome.exit_code, 0) << program << ": " << outcome.errors << outcome.story;
  }
  EXPECT_EQ(Content(Path("data/a/b/hello")), "hello\n");
  EXPECT_EQ(Content(Path("data/sub/deep")), "errno 2");
}

TEST_P(SupervisedProgramTest, AreToldOfAnErrnoThatTheyKnowIfTheStartSaysSo) {
  const Outcome outcome =
      Run({FileGrant::ReadTree(Path("data"))}, "/usr/bin/cat", {Path("secret")}, Refusal::kAccess);
  EXPECT_EQ(outcome.exit_code, 1) << outcome.story;
  EXPECT_NE(outcome.errors.find("Permission denied"), std::string::npos) << outcome.errors;
}

// INVARIANT(beneath-means-beneath)
TEST_P(SupervisedProgramTest, AreRefusedElsewhere) {
  for (const std::string& path :
       {Path("secret"), Path("data/out"), Path("data/absolute"), std::string("/etc/passwd"),
        std::string("/proc/self/environ"), Path("data/../other/file")}) {
    ExpectRefusal("/usr/bin/cat", {path});
  }
  ExpectRefusal("/usr/bin/head", {Path("secret")});
  ExpectRefusal("/usr/bin/sha256sum", {Path("secret")});
  ExpectRefusal("/usr/bin/gzip", {"-c", Path("secret")});
  ExpectRefusal("/usr/bin/ls", {files_.root()});
  ExpectRefusal("/usr/bin/ls", {"/etc"});
  ExpectRefusal("/usr/bin/stat", {"/etc/passwd"});
}

TEST_P(SupervisedProgramTest, MapNothingThatWasGrantedAsCode) {
  const bool own_mounts = runner_.sandbox().in_force().Has(Layer::kMountNamespace);
  // Without mounts of its own the host's decides.
  if (!own_mounts) GTEST_SKIP() << "no mount namespace";
  const std::vector<FileGrant> grants = {FileGrant::WriteTree(Path("data"))};
  for (const char* file : {"data/hello", "data/link"}) {
    EXPECT_EQ(Run(grants, kProbe, {"map library code", Path(file)}).exit_code, EPERM) << file;
  }
  EXPECT_EQ(Run(grants, kProbe, {"open library", Path("data/hello")}).exit_code, 0);
}

TEST_P(SupervisedProgramTest, ExecuteNothing) {
  EXPECT_EQ(
      Run({FileGrant::ReadTree("/usr/bin")}, kProbe, {"execute again", "/usr/bin/true"}).exit_code,
      EACCES);
  EXPECT_EQ(Run({FileGrant::ReadTree("/usr/bin")}, kProbe, {"execve"}).exit_code, kEcapmode);
}

TEST_P(SupervisedProgramTest, HaveProcessesIfGranted) {
  if (!HasPidNamespace()) {
    Start start;
    start.supervision.emplace().processes = true;
    const UniqueFd program(open("/usr/bin/true", O_RDONLY | O_CLOEXEC));
    EXPECT_EQ(runner_.sandbox()
                  .Execute(std::move(start), UniqueFd(dup(program.get())), {"true"}, {})
                  .status()
                  .code(),
              absl::StatusCode::kFailedPrecondition);
    return;
  }
  const Outcome piped = RunShell("cat hello | tr a-z A-Z");
  EXPECT_EQ(piped.output, "HELLO\n") << piped.errors << piped.story;
  EXPECT_EQ(piped.exit_code, 0) << piped.story;
  EXPECT_EQ(RunShell("sh -c 'exit 3'; exit $(($? + 1))").exit_code, 4);
  // What is left when the first process ends, ends.
  EXPECT_EQ(RunShell("sleep 1000 & exit 5").exit_code, 5);
  EXPECT_EQ(
      Run({FileGrant::WriteTree(Path("data"))}, "/usr/bin/sh", {"-c", "true | true"}).exit_code, 2)
      << "not granted";
}

TEST_P(SupervisedProgramTest, NeverRunWhatTheyMayWrite) {
  if (!HasPidNamespace()) GTEST_SKIP() << "no pid namespace: no processes at all";
  const std::pair<std::string, std::string> pairs[] = {{Path("data"), Path("data")},
                                                       {Path("data/sub"), Path("data")},
                                                       {Path("data"), Path("data/sub")}};
  for (const auto& [run, write] : pairs) {
    Start start;
    start.supervision.emplace().processes = true;
    start.supervision->files = {FileGrant::RunTree(run), FileGrant::WriteTree(write)};
    UniqueFd program(open("/usr/bin/true", O_RDONLY | O_CLOEXEC));
    EXPECT_EQ(runner_.sandbox()
                  .Execute(std::move(start), std::move(program), {"true"}, {})
                  .status()
                  .code(),
              absl::StatusCode::kInvalidArgument)
        << run << " " << write;
  }
  Supervision apart;
  apart.processes = true;
  apart.files = {FileGrant::RunTree("/usr/bin"), FileGrant::WriteTree(Path("data"))};
  EXPECT_EQ(Run(std::move(apart), "/usr/bin/true", {}).exit_code, 0);
}

// A child goes on where its parent was when it was made, whatever the parent does then.
TEST_P(SupervisedProgramTest, InheritTheWorkingDirectory) {
  if (!HasPidNamespace()) GTEST_SKIP() << "no pid namespace";
  const Outcome outcome = RunShell(
      "cd sub; (cat deep; cd ..; cat hello; pwd >&2); "
      "{ sleep 0.1; cat deep; } & cd ..; cat hello; umask 027; sh -c 'echo >made; umask'; wait");
  EXPECT_EQ(outcome.output, "deep\nhello\nhello\n0027\ndeep\n") << outcome.errors << outcome.story;
  EXPECT_EQ(outcome.errors, Path("data") + "\n");
  struct stat status;
  ASSERT_EQ(stat(Path("data/made").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0640u);
}

TEST_P(SupervisedProgramTest, GiveTheirChildrenNothingElse) {
  if (!HasPidNamespace()) GTEST_SKIP() << "no pid namespace";
  EXPECT_EQ(RunShell("cat " + Path("secret") + " 2>/dev/null").output, "");
  EXPECT_EQ(RunShell("(cd / && cat etc/passwd) 2>/dev/null").output, "");
  // Neither what was made, nor what is only readable, is a program.
  const Outcome copied = RunShell("cp /usr/bin/true mine; chmod 755 mine; ./mine");
  EXPECT_EQ(copied.exit_code, 127) << copied.errors;
  // In the view it is not there; in the host's tree Landlock refuses.
  EXPECT_GE(RunShell(Path("data/mine")).exit_code, 126);
  EXPECT_GE(RunShell("/usr/sbin/ldconfig -p").exit_code, 126);
  // The init, the supervisor, and everybody.
  const Outcome signals = RunShell("kill -9 1; kill -9 2; echo here");
  EXPECT_EQ(signals.output.find("here"), 0u) << signals.errors << signals.story;
}

TEST_P(SupervisedProgramTest, SignalTheirChildren) {
  if (!HasPidNamespace()) GTEST_SKIP() << "no pid namespace";
  EXPECT_EQ(RunShell("sleep 1000 & kill -TERM $!; wait $!").exit_code, 128 + SIGTERM);
  EXPECT_EQ(RunShell("setsid sleep 1000 & sleep 0.1; kill -KILL -1; wait; exit 6").exit_code, 6);
}

TEST_P(SupervisedProgramTest, EndWithAChildThatBreaksTheTable) {
  if (!HasPidNamespace()) GTEST_SKIP() << "no pid namespace";
  const Outcome outcome = RunShell("unshare -U true; sleep 1000");
  EXPECT_NE(outcome.story.find("unshare"), std::string::npos) << outcome.story;
}

TEST_P(SupervisedProgramTest, DateAndChmodWhatIsTheirs) {
  const std::vector<FileGrant> grants = {FileGrant::WriteTree(Path("data")),
                                         FileGrant::ReadTree(Path("other"))};
  const auto run = [&](const char* program, std::vector<std::string> arguments) {
    const Outcome outcome = Run(grants, program, std::move(arguments));
    return outcome.exit_code == 0 ? "" : outcome.errors + outcome.story;
  };
  EXPECT_EQ(run("/usr/bin/chmod", {"u+x,u+s", Path("data/hello")}), "");
  EXPECT_EQ(run("/usr/bin/touch", {"-d", "@1000", Path("data/hello")}), "") << "by a descriptor";
  struct stat status;
  ASSERT_EQ(stat(Path("data/hello").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0744u) << "and no set-user-id";
  EXPECT_EQ(status.st_mtime, 1000);
  EXPECT_NE(run("/usr/bin/chmod", {"777", Path("other/file")}), "");
  EXPECT_NE(run("/usr/bin/touch", {Path("other/file")}), "");
  EXPECT_NE(run("/usr/bin/chmod", {"777", Path("data/out")}), "") << "a link out of the tree";
  EXPECT_NE(run("/usr/bin/chown", {"12345", Path("data/hello")}), "");
  ASSERT_EQ(stat(Path("secret").c_str(), &status), 0);
  EXPECT_NE(status.st_mode & 0777, 0777u);
}

TEST_P(SupervisedProgramTest, SeeNothingWhereNothingIsGrantedIfTheStartSaysSo) {
  const Outcome absent =
      Run({FileGrant::ReadTree(Path("data"))}, "/usr/bin/cat", {Path("secret")}, Refusal::kAbsent);
  EXPECT_NE(absent.errors.find("No such file"), std::string::npos) << absent.errors;
  const Outcome write = Run({FileGrant::ReadTree(Path("data"))}, "/usr/bin/tee",
                            {Path("data/hello")}, Refusal::kAbsent);
  EXPECT_NE(write.errors.find("Permission denied"), std::string::npos) << write.errors;
}

}  // namespace
}  // namespace capbroker::sandbox
