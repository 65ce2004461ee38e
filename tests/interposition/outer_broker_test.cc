// Brokers all the way down: a program that was given a channel by one broker starts a broker
// of its own, and hands on a narrowed part of it.
#include <fcntl.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <memory>
#include <string>
#include <utility>

#include "base/descriptor_packet.h"
#include "base/status_matchers.h"
#include "broker/testing/probe_service.h"
#include "client/broker.h"

extern char** environ;

namespace capbroker::testing {
namespace {

// The inner program while it runs.
struct Program {
  pid_t pid;
  UniqueFd input;
  UniqueFd output;

  // What it says until it waits or ends.
  std::string Lines(int count) {
    std::string lines;
    char c;
    while (count > 0 && read(output.get(), &c, 1) == 1) {
      lines += c;
      if (c == '\n') --count;
    }
    return lines;
  }
};

Program Start(const char* how, const UniqueFd& third) {
  int in[2], out[2];
  EXPECT_EQ(pipe2(in, O_CLOEXEC), 0);
  EXPECT_EQ(pipe2(out, O_CLOEXEC), 0);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, in[0], 0);
  posix_spawn_file_actions_adddup2(&actions, out[1], 1);
  posix_spawn_file_actions_adddup2(&actions, third.get(), 3);
  std::string path = "tests/interposition/inner_program";
  std::string argument = how;
  char* const arguments[] = {path.data(), argument.data(), nullptr};
  Program program = {-1, UniqueFd(in[1]), UniqueFd(out[0])};
  EXPECT_EQ(posix_spawn(&program.pid, path.c_str(), &actions, nullptr, arguments, environ), 0);
  posix_spawn_file_actions_destroy(&actions);
  close(in[0]);
  close(out[1]);
  return program;
}

constexpr char kAllowed[] = "a ok\nfake faked\nc NOT_IN_LIMITS\nd NOT_IN_LIMITS\n";

TEST(OuterBrokerTest, ChannelGoesByExecAndIsHandedOnNarrowed) {
  ASSERT_OK_AND_ASSIGN(Broker broker, Broker::Start());
  ASSERT_OK_AND_ASSIGN(const std::shared_ptr<Channel> channel, broker.Open(Probe({"a", "d"})));
  ASSERT_OK_AND_ASSIGN(UniqueFd lane, channel->Release());
  Program program = Start("lane", lane);
  lane.Reset();
  EXPECT_EQ(program.Lines(4), kAllowed);
  // What is revoked here is revoked there.
  ASSERT_OK(broker.Revoke(*channel));
  ASSERT_EQ(write(program.input.get(), "x", 1), 1);
  EXPECT_EQ(program.Lines(1), "a REVOKED\n");
  int end = -1;
  ASSERT_EQ(waitpid(program.pid, &end, 0), program.pid);
  EXPECT_EQ(end, 0);
}

TEST(OuterBrokerTest, ChannelGoesOverASocketAndEndsWithTheOuterBroker) {
  absl::StatusOr<Broker> broker = Broker::Start();
  ASSERT_OK(broker);
  ASSERT_OK_AND_ASSIGN(const std::shared_ptr<Channel> channel, broker->Open(Probe({"a", "d"})));
  int ends[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
  const UniqueFd ours(ends[0]);
  UniqueFd theirs(ends[1]);
  Program program = Start("socket", theirs);
  theirs.Reset();
  {
    ASSERT_OK_AND_ASSIGN(const UniqueFd lane, channel->Release());
    ASSERT_TRUE(SendDescriptorPacket(ours, "", 1, {lane}));
  }
  EXPECT_EQ(program.Lines(4), kAllowed);
  broker = absl::UnavailableError("ended");
  ASSERT_EQ(write(program.input.get(), "x", 1), 1);
  EXPECT_EQ(program.Lines(1), "a UNAVAILABLE\n");
  int end = -1;
  ASSERT_EQ(waitpid(program.pid, &end, 0), program.pid);
  EXPECT_EQ(end, 0);
}

}  // namespace
}  // namespace capbroker::testing
