// Connections that a real broker's services hand out, and what is left of them in the hands of
// those whose grant is revoked.
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/status_matchers.h"
#include "broker/testing/descendants.h"
#include "client/broker.h"
#include "gtest/gtest.h"
#include "services/interpose.h"
#include "tests/leases/dialer.proxy.h"
#include "tests/leases/dialer_service.h"
#include "tests/leases/dialing.h"
#include "tests/leases/sockets.h"
#include "transport/grpc_status.h"

namespace capbroker {
namespace {

using testing::Dial;
using testing::Dialing;
using testing::Eventually;
using testing::IsAtItsEnd;
using testing::Listener;
using testing::Receive;
using testing::Send;
using testing::StatusIs;
using v1::Denial;

constexpr char kDialer[] = "capbroker.testing.v1.Dialer";

Denial::Reason ReasonOf(const absl::Status& status) {
  return DenialOf(status).value_or(Denial()).reason();
}

// Every way to send to somebody, or to connect, that there is without connect(2), and that one.
std::string TryToConnect(int socket, sockaddr_in address) {
  std::string achieved;
  const auto attempt = [&achieved](const char* what, bool achieves) {
    if (achieves) absl::StrAppend(&achieved, what, " ");
  };
  auto* const name = reinterpret_cast<sockaddr*>(&address);
  sockaddr nowhere = {};
  nowhere.sa_family = AF_UNSPEC;
  attempt("disconnect", connect(socket, &nowhere, sizeof nowhere) == 0);
  attempt("connect", connect(socket, name, sizeof address) == 0);
  attempt("sendto", sendto(socket, "x", 1, MSG_NOSIGNAL, name, sizeof address) == 1);
  attempt("fast sendto",
          sendto(socket, "x", 1, MSG_NOSIGNAL | MSG_FASTOPEN, name, sizeof address) == 1);
  char byte = 'x';
  iovec content = {&byte, 1};
  msghdr message = {};
  message.msg_name = name;
  message.msg_namelen = sizeof address;
  message.msg_iov = &content;
  message.msg_iovlen = 1;
  attempt("sendmsg", sendmsg(socket, &message, MSG_NOSIGNAL) == 1);
  attempt("fast sendmsg", sendmsg(socket, &message, MSG_NOSIGNAL | MSG_FASTOPEN) == 1);
  attempt("listen", listen(socket, 1) == 0);
  attempt("socket", ::socket(AF_INET, SOCK_STREAM, 0) >= 0);
  return achieved;
}

// Talks over a connection until it ends, and then holds on to it by all means.
int HoldOn(Grants grants) {
  const auto port = static_cast<uint16_t>(std::stoi(grants.input()));
  Dialing dialer(grants.Stub<testing::v1::Dialer>("dialer"));
  absl::StatusOr<UniqueFd> connection = dialer.DialOne(port);
  if (!connection.ok()) return 1;
  absl::StatusOr<UniqueFd> duplicate = Duplicate(*connection);
  if (!duplicate.ok()) return 2;
  if (Send(*connection, "hello") != 0 || Receive(*connection, 6) != "answer") return 3;
  sockaddr_in peer = {};
  socklen_t size = sizeof peer;
  if (getpeername(connection->get(), reinterpret_cast<sockaddr*>(&peer), &size) != 0) return 4;
  if (!IsAtItsEnd(*connection)) return 5;
  if (Send(*connection, "x") != EPIPE || Send(*duplicate, "x") != EPIPE) return 6;
  if (ReasonOf(dialer.DialOne(port).status()) != Denial::REVOKED) return 7;
  for (const FdRef each : {FdRef(*connection), FdRef(*duplicate)}) {
    const std::string achieved = TryToConnect(each.get(), peer);
    if (!achieved.empty()) {
      (void)!write(STDERR_FILENO, achieved.data(), achieved.size());
      return 8;
    }
    if (Send(each, "x") != EPIPE) return 9;
  }
  return 33;
}

class LeasesTest : public ::testing::Test {
 protected:
  void SetUp() override {
    signal(SIGPIPE, SIG_IGN);
    absl::StatusOr<Broker> started = Broker::Start();
    ASSERT_OK(started);
    broker_ = std::make_unique<Broker>(*std::move(started));
  }

  std::shared_ptr<Channel> Open() {
    absl::StatusOr<std::shared_ptr<Channel>> channel = broker_->Open(Dial(listener_.port()));
    EXPECT_OK(channel);
    return *std::move(channel);
  }

  Listener listener_;
  std::unique_ptr<Broker> broker_;
};

// INVARIANT(leases-end-with-their-channel)
TEST_F(LeasesTest, ConfinedHolderHasNoConnectionAnyMoreWhenItsGrantIsRevoked) {
  ASSERT_OK_AND_ASSIGN(Worker worker,
                       broker_->Launch({.entry = HoldOn,
                                        .grants = {{"dialer", Dial(listener_.port())}},
                                        .input = absl::StrCat(listener_.port())}));
  const UniqueFd server = listener_.Accept();
  ASSERT_EQ(Receive(server, 5), "hello");
  ASSERT_EQ(Send(server, "answer"), 0);
  ASSERT_OK_AND_ASSIGN(const Revocation revoked, broker_->RevokeGrants(worker));
  EXPECT_EQ(revoked.shut_down, 1u);
  EXPECT_TRUE(revoked.not_taken_back.empty());
  EXPECT_TRUE(revoked.incomplete.empty());
  EXPECT_TRUE(IsAtItsEnd(server)) << "its peer sees it, too";
  EXPECT_EQ(worker.Wait().exit_code(), 33);
}

// What docs/design/descriptor_rights.md says of holders that are not confined.
TEST_F(LeasesTest, HolderThatIsNotConfinedConnectsTheSocketAgain) {
  const std::shared_ptr<Channel> channel = Open();
  ASSERT_OK_AND_ASSIGN(const UniqueFd connection, Dialing(channel).DialOne(listener_.port()));
  const UniqueFd server = listener_.Accept();
  ASSERT_OK_AND_ASSIGN(const Revocation revoked, broker_->Revoke(*channel));
  EXPECT_EQ(revoked.shut_down, 1u);
  ASSERT_EQ(Send(connection, "x"), EPIPE);
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(listener_.port());
  const std::string achieved = TryToConnect(connection.get(), address);
  EXPECT_EQ(achieved.rfind("disconnect connect ", 0), 0u) << achieved;
  EXPECT_EQ(Receive(listener_.Accept(), 1).substr(0, 1), "x");
}

TEST_F(LeasesTest, RevokingAChannelEndsTheConnectionsOfItsClones) {
  const std::shared_ptr<Channel> first = Open();
  ASSERT_OK_AND_ASSIGN(const std::shared_ptr<Channel> clone, first->Clone());
  ASSERT_OK_AND_ASSIGN(const std::shared_ptr<Channel> below, clone->Clone());
  ASSERT_OK_AND_ASSIGN(const UniqueFd stays, Dialing(first).DialOne(listener_.port()));
  ASSERT_OK_AND_ASSIGN(const UniqueFd goes, Dialing(clone).DialOne(listener_.port()));
  ASSERT_OK_AND_ASSIGN(const UniqueFd goes_too, Dialing(below).DialOne(listener_.port()));
  ASSERT_OK_AND_ASSIGN(const Revocation revoked, broker_->Revoke(*clone));
  EXPECT_EQ(revoked.channels, 2);
  EXPECT_EQ(revoked.shut_down, 2u);
  EXPECT_EQ(Send(goes, "x"), EPIPE);
  EXPECT_EQ(Send(goes_too, "x"), EPIPE);
  EXPECT_EQ(Send(stays, "x"), 0);
}

// INVARIANT(leases-end-with-their-channel): who closes the channel first has nothing left either.
TEST_F(LeasesTest, ClosingTheChannelEndsItsConnections) {
  const std::shared_ptr<Channel> first = Open();
  ASSERT_OK_AND_ASSIGN(const std::shared_ptr<Channel> clone, first->Clone());
  ASSERT_OK_AND_ASSIGN(const UniqueFd connection, Dialing(clone).DialOne(listener_.port()));
  // A call that nobody waits for any more keeps the channel busy.
  EXPECT_THAT(Dialing(clone).DialTooLate(listener_.port(), 3000),
              StatusIs(absl::StatusCode::kDeadlineExceeded));
  const absl::Time start = absl::Now();
  ASSERT_OK(clone->Release());  // and closed at once
  EXPECT_TRUE(IsAtItsEnd(connection));
  EXPECT_LT(absl::Now() - start, absl::Seconds(2));
  EXPECT_EQ(Send(connection, "x"), EPIPE);
}

// Both the proxy and what is upstream of it have leased the connection.
TEST_F(LeasesTest, ConnectionThatCameThroughAProxyEndsWithEitherChannel) {
  for (const bool upstream : {false, true}) {
    const std::shared_ptr<Channel> mine = Open();
    ASSERT_OK_AND_ASSIGN(std::shared_ptr<Channel> given, mine->Clone());
    ASSERT_OK_AND_ASSIGN(const std::shared_ptr<Channel> proxy,
                         broker_->Open(Interpose<testing::v1::Dialer>(
                             std::move(given), testing::DialerLimits(listener_.port()))));
    ASSERT_OK_AND_ASSIGN(const UniqueFd connection, Dialing(proxy).DialOne(listener_.port()));
    ASSERT_EQ(Send(connection, "x"), 0);
    ASSERT_OK_AND_ASSIGN(const Revocation revoked, broker_->Revoke(upstream ? *mine : *proxy));
    EXPECT_EQ(revoked.shut_down, 1u);
    EXPECT_EQ(Send(connection, "x"), EPIPE);
  }
}

TEST_F(LeasesTest, WorkerThatEndsLeavesNoConnectionBehind) {
  ASSERT_OK_AND_ASSIGN(Worker worker,
                       broker_->Launch({.entry = HoldOn,
                                        .grants = {{"dialer", Dial(listener_.port())}},
                                        .input = absl::StrCat(listener_.port())}));
  const UniqueFd server = listener_.Accept();
  ASSERT_EQ(Receive(server, 5), "hello");
  ASSERT_OK(worker.Kill());
  EXPECT_TRUE(IsAtItsEnd(server));
}

TEST_F(LeasesTest, TooManyAreDeniedBeforeTheyAreDelivered) {
  const std::shared_ptr<Channel> channel = Open();
  Dialing dialer(channel);
  std::vector<UniqueFd> connections;
  for (int i = 0; i < 8; ++i) {
    ASSERT_OK_AND_ASSIGN(std::vector<UniqueFd> some, dialer.DialSome(listener_.port(), 8));
    for (UniqueFd& each : some) {
      connections.push_back(std::move(each));
      (void)listener_.Accept();
    }
  }
  const absl::Status denied = dialer.DialOne(listener_.port()).status();
  EXPECT_THAT(denied, StatusIs(absl::StatusCode::kResourceExhausted));
  EXPECT_EQ(ReasonOf(denied), Denial::BUDGET_EXHAUSTED);
  EXPECT_TRUE(IsAtItsEnd(listener_.Accept())) << "the service has closed what it had connected";
  // A holder that is done shuts down.
  ASSERT_EQ(shutdown(connections.back().get(), SHUT_RDWR), 0);
  EXPECT_OK(dialer.DialOne(listener_.port()));
}

TEST_F(LeasesTest, ConnectionThatNobodyWaitsForAnyMoreIsClosed) {
  const std::shared_ptr<Channel> channel = Open();
  EXPECT_THAT(Dialing(channel).DialTooLate(listener_.port(), 300),
              StatusIs(absl::StatusCode::kDeadlineExceeded));
  EXPECT_TRUE(IsAtItsEnd(listener_.Accept()));
  ASSERT_OK_AND_ASSIGN(const Revocation revoked, broker_->Revoke(*channel));
  EXPECT_EQ(revoked.shut_down, 0u);
}

TEST_F(LeasesTest, AnswerToARevocationListsWhatItCouldNotTakeBack) {
  const std::shared_ptr<Channel> first = Open();
  ASSERT_OK_AND_ASSIGN(const std::shared_ptr<Channel> clone, first->Clone());
  ASSERT_OK_AND_ASSIGN(const std::shared_ptr<Channel> below, clone->Clone());
  ASSERT_OK_AND_ASSIGN(const UniqueFd one, Dialing(clone).DialForGood(listener_.port()));
  ASSERT_OK_AND_ASSIGN(const UniqueFd two, Dialing(clone).DialForGood(listener_.port()));
  ASSERT_OK_AND_ASSIGN(const UniqueFd leased, Dialing(clone).DialOne(listener_.port()));
  ASSERT_OK_AND_ASSIGN(const UniqueFd three, Dialing(below).DialForGood(listener_.port()));
  ASSERT_OK_AND_ASSIGN(const UniqueFd others, Dialing(first).DialForGood(listener_.port()));
  // A holder does not make it forgotten by closing the channel that it came on.
  ASSERT_OK(below->Release());
  ASSERT_TRUE(Eventually([&] { return broker_->Inspect()->families(0).channels() == 2; }));
  ASSERT_OK_AND_ASSIGN(const Revocation revoked, broker_->Revoke(*clone));
  EXPECT_EQ(revoked.channels, 1);
  EXPECT_EQ(revoked.shut_down, 1u);
  ASSERT_EQ(revoked.not_taken_back.size(), 1u);
  EXPECT_EQ(revoked.not_taken_back[0].service, kDialer);
  EXPECT_EQ(revoked.not_taken_back[0].method, "DialForGood");
  EXPECT_EQ(revoked.not_taken_back[0].field, "connection");
  EXPECT_EQ(revoked.not_taken_back[0].descriptors, 3u);
  EXPECT_TRUE(revoked.incomplete.empty());
  for (const FdRef held : {FdRef(one), FdRef(two), FdRef(three), FdRef(others)}) {
    EXPECT_EQ(Send(held, "x"), 0);
  }
}

TEST_F(LeasesTest, AnswerToARevocationHasABound) {
  constexpr uint64_t kClones = 70;
  constexpr uint64_t kTold = 64;
  const std::shared_ptr<Channel> first = Open();
  std::vector<std::shared_ptr<Channel>> clones;
  for (uint64_t i = 0; i < kClones; ++i) {
    ASSERT_OK_AND_ASSIGN(std::shared_ptr<Channel> clone, first->Clone());
    ASSERT_OK(Dialing(clone).DialForGood(listener_.port()));
    (void)listener_.Accept();
    clones.push_back(std::move(clone));
  }
  ASSERT_OK_AND_ASSIGN(const Revocation revoked, broker_->Revoke(*first));
  ASSERT_EQ(revoked.not_taken_back.size(), kTold + 1);
  EXPECT_EQ(revoked.not_taken_back[kTold - 1].method, "DialForGood");
  EXPECT_EQ(revoked.not_taken_back[kTold].method, "");
  EXPECT_EQ(revoked.not_taken_back[kTold].descriptors, kClones - kTold);
}

TEST_F(LeasesTest, AuditTellsWhatWasTakenBackAndWhatNot) {
  ASSERT_OK_AND_ASSIGN(Audit audit, broker_->StartAudit({}));
  const std::shared_ptr<Channel> channel = Open();
  ASSERT_OK_AND_ASSIGN(const std::vector<UniqueFd> leased,
                       Dialing(channel).DialSome(listener_.port(), 2));
  ASSERT_OK(Dialing(channel).DialForGood(listener_.port()));
  ASSERT_OK(broker_->Revoke(*channel));
  uint64_t shut_down = 0;
  uint64_t not_taken_back = 0;
  while (not_taken_back == 0) {
    ASSERT_OK_AND_ASSIGN(const std::vector<v1::AuditEvent> events, audit.Next(absl::Seconds(10)));
    ASSERT_FALSE(events.empty());
    for (const v1::AuditEvent& event : events) {
      if (event.kind() == v1::AuditEvent::SHUT_DOWN) shut_down += event.count();
      if (event.kind() != v1::AuditEvent::NOT_TAKEN_BACK) continue;
      not_taken_back += event.count();
      EXPECT_EQ(event.channel(), 1u);
      EXPECT_EQ(event.method(), "DialForGood");
    }
  }
  EXPECT_EQ(shut_down, 2u);
  EXPECT_EQ(not_taken_back, 1u);
}

TEST_F(LeasesTest, AnswerToARevocationSaysThatItIsIncomplete) {
  const std::shared_ptr<Channel> crashed = Open();
  ASSERT_OK_AND_ASSIGN(const UniqueFd leased, Dialing(crashed).DialOne(listener_.port()));
  EXPECT_FALSE(Dialing(crashed).Crash().ok());
  ASSERT_OK_AND_ASSIGN(const UniqueFd later, Dialing(crashed).DialOne(listener_.port()));
  ASSERT_OK_AND_ASSIGN(const Revocation revoked, broker_->Revoke(*crashed));
  EXPECT_EQ(revoked.incomplete, std::vector<std::string>{kDialer});
  EXPECT_EQ(revoked.shut_down, 1u);
  EXPECT_EQ(Send(later, "x"), EPIPE);
  EXPECT_EQ(Send(leased, "x"), 0) << "its lease went with the process";
}

// It opens, closes its channel, and with it the family is gone.
int CloseAtOnce(Grants grants) {
  const auto port = static_cast<uint16_t>(std::stoi(grants.input()));
  absl::StatusOr<std::shared_ptr<Channel>> channel = grants.Channel("dialer");
  if (!channel.ok()) return 1;
  const absl::StatusOr<UniqueFd> connection = Dialing(*channel).DialForGood(port);
  if (!connection.ok() || !(*channel)->Release().ok()) return 2;
  char byte;
  return read(STDIN_FILENO, &byte, 1) == 0 ? 0 : 3;
}

TEST_F(LeasesTest, AnswerToARevocationSaysThatItsHolderGaveUpTheGrant) {
  int ends[2];
  ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
  UniqueFd writer(ends[1]);
  ASSERT_OK_AND_ASSIGN(Worker worker,
                       broker_->Launch({.entry = CloseAtOnce,
                                        .grants = {{"dialer", Dial(listener_.port())}},
                                        .input = absl::StrCat(listener_.port()),
                                        .standard_input = UniqueFd(ends[0])}));
  ASSERT_TRUE(Eventually([&] { return broker_->Inspect()->families().empty(); }));
  ASSERT_OK_AND_ASSIGN(const Revocation revoked, broker_->RevokeGrants(worker));
  EXPECT_EQ(revoked.channels, 0);
  EXPECT_EQ(revoked.incomplete, std::vector<std::string>{kDialer});
  writer.Reset();
  EXPECT_EQ(worker.Wait().exit_code(), 0);
}

TEST_F(LeasesTest, ProcessThatDoesNotAnswerIsSaidToBeIncomplete) {
  const std::shared_ptr<Channel> channel = Open();
  ASSERT_OK_AND_ASSIGN(const UniqueFd leased, Dialing(channel).DialOne(listener_.port()));
  const int process = broker_->Inspect()->families(0).process();
  ASSERT_EQ(kill(process, SIGSTOP), 0);
  ASSERT_OK_AND_ASSIGN(const Revocation revoked, broker_->Revoke(*channel));
  EXPECT_EQ(revoked.incomplete, std::vector<std::string>{kDialer});
  EXPECT_EQ(revoked.shut_down, 0u);
}

}  // namespace
}  // namespace capbroker
