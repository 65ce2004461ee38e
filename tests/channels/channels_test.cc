// A channel is a value: it travels through another service, through exec and over a UNIX socket,
// with a real broker, and who kept a duplicate takes nobody's answers.
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/status_matchers.h"
#include "broker/testing/probe_client.h"
#include "broker/testing/probe_service.h"
#include "client/broker.h"
#include "gtest/gtest.h"
#include "services/service.h"
#include "serving/call.h"
#include "tests/channels/mailbox.capbroker.h"
#include "tests/channels/mailbox.dispatch.h"
#include "transport/call_descriptors.h"
#include "transport/grpc_status.h"

namespace capbroker {
namespace {

using testing::Probe;
using testing::ProbeClient;
using testing::StatusIs;
namespace pb = testing::v1;

// Keeps one channel.
class MailboxService : public pb::Mailbox::Service {
 public:
  grpc::Status Put(grpc::ServerContext* context, const pb::PutRequest* request,
                   pb::PutResponse*) override {
    absl::StatusOr<UniqueFd> lane = serving::Call::Of(context).Take(request->channel());
    if (!lane.ok()) return ToGrpcStatus(lane.status());
    kept_ = *std::move(lane);
    return grpc::Status::OK;
  }
  grpc::Status Take(grpc::ServerContext* context, const pb::TakeFromRequest*,
                    pb::TakeFromResponse* response) override {
    if (!kept_.valid()) return ToGrpcStatus(absl::NotFoundError("take: the mailbox is empty"));
    return serving::Call::Of(context).Attach(std::move(kept_), response->mutable_channel());
  }

 private:
  UniqueFd kept_;
};

Authority Mailbox() {
  pb::MailboxLimits limits;
  limits.add_uses("put");
  limits.add_uses("take");
  return Serve<MailboxService>(limits);
}

absl::Status Put(const std::shared_ptr<Channel>& mailbox, UniqueFd lane) {
  grpc::ClientContext context;
  CallDescriptors descriptors(&context);
  pb::PutRequest request;
  pb::PutResponse response;
  descriptors.Attach(std::move(lane), request.mutable_channel());
  return FromGrpcStatus(NewStub<pb::Mailbox>(mailbox)->Put(&context, request, &response));
}

absl::StatusOr<std::shared_ptr<Channel>> TakeAndAdopt(pb::Mailbox::StubInterface& mailbox) {
  grpc::ClientContext context;
  CallDescriptors descriptors(&context);
  pb::TakeFromResponse response;
  const absl::Status taken =
      FromGrpcStatus(mailbox.Take(&context, pb::TakeFromRequest(), &response));
  if (!taken.ok()) return taken;
  absl::StatusOr<UniqueFd> lane = descriptors.Take(response.channel());
  if (!lane.ok()) return lane.status();
  return Channel::Adopt(*std::move(lane));
}

// In a confined worker, which was not granted the probe.
int SayThroughMailbox(Grants grants) {
  const auto mailbox = grants.Stub<pb::Mailbox>("mailbox");
  const absl::StatusOr<std::shared_ptr<Channel>> channel = TakeAndAdopt(*mailbox);
  if (!channel.ok()) return 1;
  ProbeClient probe(*channel);
  for (int i = 0; i < 200; ++i) {
    if (!probe.Say("a").ok()) return 2;
  }
  return absl::IsPermissionDenied(probe.Say("b").status()) ? 0 : 3;
}

// Takes whatever comes on a lane end that was handed on.
class StaleHolder {
 public:
  explicit StaleHolder(UniqueFd duplicate)
      : duplicate_(std::move(duplicate)), thread_([this] { Take(); }) {}
  ~StaleHolder() { Stop(); }
  int Stop() {
    stop_ = true;
    if (thread_.joinable()) thread_.join();
    return taken_;
  }

 private:
  void Take() {
    char bytes[100];
    while (!stop_) {
      const ssize_t got = recv(duplicate_.get(), bytes, sizeof bytes, MSG_DONTWAIT);
      if (got > 0) ++taken_;
      if (got == 0) return;  // the service has closed it
    }
  }

  const UniqueFd duplicate_;
  std::atomic<bool> stop_{false};
  std::atomic<int> taken_{0};
  std::thread thread_;
};

class ChannelsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    absl::StatusOr<Broker> started = Broker::Start();
    ASSERT_OK(started);
    broker_ = std::make_unique<Broker>(*std::move(started));
    absl::StatusOr<std::shared_ptr<Channel>> first = broker_->Open(Probe({"a"}));
    ASSERT_OK(first);
    first_ = *std::move(first);
  }

  // A lane end to hand on, and a duplicate that should have gone with it.
  UniqueFd LaneToHandOn(UniqueFd& duplicate) {
    absl::StatusOr<std::shared_ptr<Channel>> clone = first_->Clone();
    EXPECT_OK(clone);
    absl::StatusOr<UniqueFd> lane = (*clone)->Release();
    EXPECT_OK(lane);
    duplicate = Duplicate(*lane).value();
    return *std::move(lane);
  }

  // Runs the receiver with descriptor `given` open, as `how`; gives its exit code. `meanwhile` runs
  // once it has adopted the channel.
  static int RunReceiver(const char* how, UniqueFd given, std::function<void()> meanwhile) {
    int output[2];
    EXPECT_EQ(pipe2(output, O_CLOEXEC), 0);
    const char* const folder = getenv("CHANNEL_PROGRAMS");
    const std::string program =
        std::string(folder != nullptr ? folder : "tests/channels") + "/receiver";
    const pid_t child = fork();
    if (child == 0) {
      dup2(output[1], STDOUT_FILENO);
      const absl::StatusOr<int> number = Channel::Wrap(std::move(given));
      if (!number.ok()) _exit(80);
      execl(program.c_str(), program.c_str(), how, std::to_string(*number).c_str(), "300", nullptr);
      _exit(81);
    }
    given.Reset();
    close(output[1]);
    char ready[5] = {};
    EXPECT_EQ(read(output[0], ready, 5), 5);
    meanwhile();
    int status = 0;
    waitpid(child, &status, 0);
    close(output[0]);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }

  std::unique_ptr<Broker> broker_;
  std::shared_ptr<Channel> first_;
};

TEST_F(ChannelsTest, TravelThroughAnotherService) {
  ASSERT_OK_AND_ASSIGN(const std::shared_ptr<Channel> mailbox, broker_->Open(Mailbox()));
  ASSERT_OK_AND_ASSIGN(const std::shared_ptr<Channel> workers, mailbox->Clone());
  UniqueFd duplicate;
  ASSERT_OK(Put(mailbox, LaneToHandOn(duplicate)));
  ASSERT_OK_AND_ASSIGN(Worker worker, broker_->Launch({.entry = SayThroughMailbox,
                                                       .grants = {{"mailbox", workers}}}));
  EXPECT_EQ(worker.Wait().exit_code(), 0);
  EXPECT_THAT(TakeAndAdopt(*NewStub<pb::Mailbox>(mailbox)), StatusIs(absl::StatusCode::kNotFound));
}

// INVARIANT(one-holder-per-end)
TEST_F(ChannelsTest, TravelThroughExec) {
  UniqueFd duplicate;
  UniqueFd lane = LaneToHandOn(duplicate);
  std::unique_ptr<StaleHolder> stale;
  EXPECT_EQ(RunReceiver("wrapped", std::move(lane),
                        [&] { stale = std::make_unique<StaleHolder>(std::move(duplicate)); }),
            0);
  EXPECT_EQ(stale->Stop(), 0) << "answers of the new holder";
}

// INVARIANT(one-holder-per-end)
TEST_F(ChannelsTest, TravelOverAUnixSocketToAnotherProgram) {
  int ends[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
  const UniqueFd own(ends[0]);
  UniqueFd duplicate;
  {
    const UniqueFd lane = LaneToHandOn(duplicate);
    char byte = 'x';
    iovec part = {&byte, 1};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
    msghdr message = {};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    cmsghdr* rights = CMSG_FIRSTHDR(&message);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(sizeof(int));
    const int number = lane.get();
    std::memcpy(CMSG_DATA(rights), &number, sizeof number);
    ASSERT_EQ(sendmsg(own.get(), &message, 0), 1);
  }
  std::unique_ptr<StaleHolder> stale;
  EXPECT_EQ(RunReceiver("sent", UniqueFd(ends[1]),
                        [&] { stale = std::make_unique<StaleHolder>(std::move(duplicate)); }),
            0);
  EXPECT_EQ(stale->Stop(), 0) << "answers of the new holder";
}

// What was cloned from the application's channel is revoked with it, wherever it went.
TEST_F(ChannelsTest, AreRevokedWhereverTheyWent) {
  UniqueFd duplicate;
  ASSERT_OK_AND_ASSIGN(const std::shared_ptr<Channel> adopted,
                       Channel::Adopt(LaneToHandOn(duplicate)));
  ASSERT_OK(ProbeClient(adopted).Say("a"));
  ASSERT_OK(broker_->Revoke(*first_));
  const absl::Status refused = ProbeClient(adopted).Say("a").status();
  EXPECT_THAT(refused, StatusIs(absl::StatusCode::kPermissionDenied));
  EXPECT_EQ(DenialOf(refused).value_or(v1::Denial()).reason(), v1::Denial::REVOKED);
}

// INVARIANT(no-hang): the only answer that a stale holder can take is that to the adoption.
TEST_F(ChannelsTest, AnAdoptionWhoseAnswerSomebodyTakesEnds) {
  for (int i = 0; i < 20; ++i) {
    UniqueFd duplicate;
    UniqueFd lane = LaneToHandOn(duplicate);
    StaleHolder stale(std::move(duplicate));
    const absl::StatusOr<std::shared_ptr<Channel>> adopted =
        Channel::Adopt(std::move(lane), absl::Milliseconds(300));
    // Who is faster gets it.
    if (adopted.ok()) {
      EXPECT_EQ(stale.Stop(), 0);
      EXPECT_OK(ProbeClient(*adopted).Say("a"));
    } else {
      EXPECT_THAT(adopted.status(), StatusIs(absl::StatusCode::kDeadlineExceeded));
      EXPECT_EQ(stale.Stop(), 1);
    }
  }
  EXPECT_OK(ProbeClient(first_).Say("a"));
}

TEST_F(ChannelsTest, AreUnwrappedOnlyFromLanes) {
  int ends[2];
  ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
  EXPECT_THAT(Channel::Unwrap(ends[0]), StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_NE(fcntl(ends[0], F_GETFD), -1) << "left as it was";
  EXPECT_THAT(Channel::Unwrap(-1), StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(Channel::Unwrap(12345), StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(Channel::Wrap(UniqueFd()), StatusIs(absl::StatusCode::kInvalidArgument));
  close(ends[0]);
  close(ends[1]);
}

}  // namespace
}  // namespace capbroker
