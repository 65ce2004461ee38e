#include "base/lifeline.h"

#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <utility>

#include "base/pid_fd.h"
#include "base/status_matchers.h"
#include "gtest/gtest.h"

namespace capbroker {
namespace {

// A child that does `prepare`, dies with the line from then on, and tells so.
template <typename Prepare, typename Tell>
PidFd Dependent(Lifeline& line, Prepare prepare, Tell tell) {
  absl::StatusOr<Cloned> cloned = CloneProcess({});
  if (!cloned.ok()) return PidFd();
  if (cloned->pid == 0) {
    line.kept.Reset();
    prepare();
    if (!DieWithLifeline(std::move(line.held)).ok()) _exit(1);
    tell();
    while (true) pause();
  }
  line.held.Reset();
  return std::move(cloned->process);
}

// One that does already when this returns.
PidFd Dependent(Lifeline& line) {
  int ends[2];
  if (pipe(ends) != 0) return PidFd();
  const UniqueFd reader(ends[0]);
  UniqueFd writer(ends[1]);
  PidFd child = Dependent(
      line, [] {}, [&writer] { (void)!write(writer.get(), "x", 1); });
  writer.Reset();
  char byte;
  return read(reader.get(), &byte, 1) == 1 ? std::move(child) : PidFd();
}

bool StillRuns(const PidFd& process, int milliseconds) {
  pollfd p = {process.fd().get(), POLLIN, 0};
  return poll(&p, 1, milliseconds) == 0;
}

TEST(LifelineTest, KillsWhenTheOtherEndIsClosed) {
  ASSERT_OK_AND_ASSIGN(Lifeline line, MakeLifeline());
  const PidFd child = Dependent(line);
  ASSERT_TRUE(StillRuns(child, 0));
  line.kept.Reset();
  ASSERT_OK_AND_ASSIGN(const ProcessEnd end, child.Wait());
  EXPECT_EQ(end.signal, SIGKILL);
}

TEST(LifelineTest, KillsWhenTheOtherEndWasClosedBeforeTheArming) {
  ASSERT_OK_AND_ASSIGN(Lifeline line, MakeLifeline());
  const PidFd child = Dependent(
      line, [] { usleep(20'000); }, [] {});
  line.kept.Reset();
  ASSERT_OK_AND_ASSIGN(const ProcessEnd end, child.Wait());
  EXPECT_EQ(end.signal, SIGKILL);
}

TEST(LifelineTest, KillsAStoppedProcess) {
  ASSERT_OK_AND_ASSIGN(Lifeline line, MakeLifeline());
  const PidFd child = Dependent(line);
  ASSERT_TRUE(StillRuns(child, 0));
  ASSERT_OK(child.Signal(SIGSTOP));
  line.kept.Reset();
  ASSERT_OK_AND_ASSIGN(const ProcessEnd end, child.Wait());
  EXPECT_EQ(end.signal, SIGKILL);
}

TEST(LifelineTest, HoldsWhileADuplicateIsOpen) {
  ASSERT_OK_AND_ASSIGN(Lifeline line, MakeLifeline());
  const PidFd child = Dependent(line);
  ASSERT_OK_AND_ASSIGN(UniqueFd duplicate, Duplicate(line.kept));
  line.kept.Reset();
  EXPECT_TRUE(StillRuns(child, 100));
  duplicate.Reset();
  ASSERT_OK_AND_ASSIGN(const ProcessEnd end, child.Wait());
  EXPECT_EQ(end.signal, SIGKILL);
}

}  // namespace
}  // namespace capbroker
