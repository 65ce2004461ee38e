// Calls of threads that wait for their answers, by a mailbox.
#include "transport/posting.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/status_matchers.h"
#include "base/unique_fd.h"
#include "gtest/gtest.h"
#include "transport/lane_client.h"
#include "transport/lane_socket.h"
#include "transport/mailbox.h"
#include "transport/packet.h"
#include "transport/posting_fixture.h"

namespace capbroker::transport {
namespace {

using PostingTest = PostingFixture;

TEST_F(PostingTest, PostsAndReadsTheAnswer) {
  GiveMailbox();
  const Answer answer = CallWhile(
      [this] {
        const Posted posted = Take();
        EXPECT_EQ(posted.message, "question");
        EXPECT_EQ(posted.header.flags, kFlagWouldPost);
        Put(Header(PacketType::kResponse, posted.header.call), "answer");
      },
      [this] { return Call("question"); });
  EXPECT_EQ(answer.status, kOk);
  EXPECT_EQ(answer.message, "answer");
  EXPECT_EQ(client_->posted_calls(), 1u);
}

TEST_F(PostingTest, AnAnswerWithoutRoomComesByTheSocketAndSoDoTheNextOnesOfItsMethod) {
  GiveMailbox();
  const Answer answer = CallWhile(
      [this] {
        const Posted posted = Take();
        Send(Header(PacketType::kResponse, posted.header.call), "from the socket");
        mailbox_->AnswerOnLane(posted.slot);
      },
      [this] { return Call("question"); });
  EXPECT_EQ(answer.message, "from the socket");
  for (int call = 0; call < kUnpostedAfter; ++call) {
    const Answer next =
        CallWhile([this] { ServeOnSocket(0, "again"); }, [this] { return Call("question"); });
    ASSERT_EQ(next.message, "again");
  }
  EXPECT_EQ(client_->posted_calls(), 1u);
  // Its answers may have become smaller.
  const Answer tried =
      CallWhile([this] { Put(Header(PacketType::kResponse, Take().header.call), "posted"); },
                [this] { return Call("question"); });
  EXPECT_EQ(tried.message, "posted");
}

TEST_F(PostingTest, WhatAMailboxDoesNotCarryGoesToTheSocket) {
  GiveMailbox();
  const auto serve = [this] { ServeOnSocket(0); };
  const std::string large(Mailbox::kCapacity, 'x');
  EXPECT_EQ(CallWhile(serve, [&] { return Call(large); }).status, kOk);
  EXPECT_EQ(CallWhile(serve, [&] { return Call("", 0, /*brings_descriptors=*/true); }).status, kOk);
  EXPECT_EQ(client_->posted_calls(), 0u);
}

TEST_F(PostingTest, CallsOfSeveralThreadsAreAnsweredInAnyOrder) {
  GiveMailbox();
  std::thread second;
  const Answer first = CallWhile(
      [&] {
        const Posted posted = Take();
        second = std::thread([this] { EXPECT_EQ(Call("second").message, "of the second"); });
        const Posted meanwhile = Take();
        EXPECT_EQ(meanwhile.message, "second");
        EXPECT_NE(meanwhile.slot, posted.slot);
        Put(Header(PacketType::kResponse, meanwhile.header.call), "of the second", meanwhile.slot);
        second.join();
        Put(Header(PacketType::kResponse, posted.header.call), "of the first", posted.slot);
      },
      [this] { return Call("first"); });
  EXPECT_EQ(first.message, "of the first");
  EXPECT_EQ(client_->posted_calls(), 2u);
}

TEST_F(PostingTest, ACallWithoutASlotGoesToTheSocket) {
  GiveMailbox();
  std::vector<std::thread> others;
  std::vector<Posted> posted;
  for (int call = 0; call < Mailbox::kSlots; ++call) {
    others.emplace_back([this] { EXPECT_EQ(Call("posted").message, "of the mailbox"); });
    posted.push_back(Take());
  }
  const Answer answer = CallWhile([this] { ServeOnSocket(kFlagWouldPost, "of the socket"); },
                                  [this] { return Call("question"); });
  EXPECT_EQ(answer.message, "of the socket");
  for (const Posted& call : posted) {
    Put(Header(PacketType::kResponse, call.header.call), "of the mailbox", call.slot);
  }
  for (std::thread& other : others) other.join();
  EXPECT_EQ(client_->posted_calls(), static_cast<uint64_t>(Mailbox::kSlots));
}

TEST_F(PostingTest, AClosedMailboxSendsCallsToTheSocket) {
  GiveMailbox();
  mailbox_->Close();
  const Answer answer =
      CallWhile([this] { ServeOnSocket(kFlagWouldPost); }, [this] { return Call("question"); });
  EXPECT_EQ(answer.status, kOk);
  EXPECT_EQ(client_->posted_calls(), 0u);
}

TEST_F(PostingTest, APostedCallEndsAtItsDeadlineAndTellsTheService) {
  GiveMailbox();
  const int64_t begun_ns = MonotonicNowNs();
  EXPECT_EQ(Call("question", begun_ns + 30'000'000).status, kDeadlineExceeded);
  EXPECT_GE(MonotonicNowNs() - begun_ns, 30'000'000);
  EXPECT_EQ(Receive().type, PacketType::kCancel);
  EXPECT_FALSE(mailbox_->LookForRequest()) << "nobody waits for its answer";
}

TEST_F(PostingTest, APostedCallEndsWhenItIsCancelled) {
  GiveMailbox();
  std::atomic<bool> cancelled{false};
  const Answer answer = CallWhile(
      [&] {
        const Posted posted = Take();
        cancelled = true;
        const PacketHeader cancel = Receive();
        EXPECT_EQ(cancel.type, PacketType::kCancel);
        EXPECT_EQ(cancel.call, posted.header.call);
      },
      [&] { return Call("question", 0, false, [&] { return cancelled.load(); }); });
  EXPECT_EQ(answer.status, kCancelled);
  // Until the service has answered that one its slot is not used; its answer is nobody's.
  const Answer next = CallWhile(
      [this] {
        const Posted posted = Take();
        EXPECT_NE(posted.slot, 0);
        Put(Header(PacketType::kResponse, posted.header.call - 1), "late", 0);
        Put(Header(PacketType::kResponse, posted.header.call), "own", posted.slot);
      },
      [this] { return Call("question"); });
  EXPECT_EQ(next.message, "own");
  const Answer reused = CallWhile(
      [this] {
        const Posted posted = Take();
        EXPECT_EQ(posted.slot, 0);
        Put(Header(PacketType::kResponse, posted.header.call), "again");
      },
      [this] { return Call("question"); });
  EXPECT_EQ(reused.message, "again");
}

TEST_F(PostingTest, ASuccessorIsSentWhatNobodyTook) {
  GiveMailbox();
  const Answer answer = CallWhile(
      [this] {
        while (!mailbox_->LookForRequest()) usleep(100);
        PacketHeader epoch = Header(PacketType::kEpoch, 0);
        epoch.deadline_ns = 1;  // long ago: the call is later
        Send(epoch);
        const PacketHeader request = Receive();
        EXPECT_EQ(request.type, PacketType::kRequest);
        Send(Header(PacketType::kResponse, request.call), "of the successor");
      },
      [this] { return Call("question"); });
  EXPECT_EQ(answer.message, "of the successor");
  EXPECT_FALSE(mailbox_->LookForRequest());
}

TEST_F(PostingTest, WhatTheProcessThatDiedHadTakenIsLost) {
  GiveMailbox();
  const Answer answer = CallWhile(
      [this] {
        (void)Take();
        PacketHeader epoch = Header(PacketType::kEpoch, 0);
        epoch.deadline_ns = 1;
        Send(epoch);
      },
      [this] { return Call("question"); });
  EXPECT_EQ(answer.status, kUnavailable);
  // The next one goes to the successor.
  const Answer next = CallWhile([this] { ServeOnSocket(kFlagWouldPost | kFlagNoMailbox); },
                                [this] { return Call("question"); });
  EXPECT_EQ(next.status, kOk);
}

TEST_F(PostingTest, TheEndOfTheSocketEndsAPostedCall) {
  GiveMailbox();
  const Answer answer = CallWhile(
      [this] {
        (void)Take();
        service_.Reset();
      },
      [this] { return Call("question"); });
  EXPECT_EQ(answer.status, kUnavailable);
}

TEST_F(PostingTest, AnswersThatNoHonestServiceGivesEndTheChannel) {
  for (int kind = 0; kind < 4; ++kind) {
    SetUp();
    GiveMailbox();
    const Answer answer = CallWhile(
        [&] {
          const Posted posted = Take();
          PacketHeader header = Header(PacketType::kResponse, posted.header.call);
          if (kind == 0) header.call += 1;
          if (kind == 1) header.type = PacketType::kEpoch;
          if (kind == 2) header.flags = kFlagKept | kFlagInKept;
          if (kind == 3) header.type = PacketType::kRequest;
          Put(header);
        },
        [this] { return Call("question"); });
    EXPECT_EQ(answer.status, kUnavailable) << kind;
    EXPECT_EQ(Call("question").status, kUnavailable) << kind;
  }
}

TEST_F(PostingTest, MemoryThatCouldShrinkIsNoMailbox) {
  const UniqueFd unsealed(memfd_create("unsealed", MFD_ALLOW_SEALING));
  ASSERT_EQ(ftruncate(unsealed.get(), 4096), 0);
  SendMailbox(unsealed);
  for (int i = 0; i < 2; ++i) {
    const Answer answer = CallWhile([this] { ServeOnSocket(kFlagWouldPost | kFlagNoMailbox); },
                                    [this] { return Call("question"); });
    EXPECT_EQ(answer.status, kOk);
  }
}

TEST_F(PostingTest, AProcessWithoutRoomForTheDescriptorKeepsItsChannel) {
  ASSERT_OK_AND_ASSIGN(const UniqueFd shared, mailbox_->Share());
  const UniqueFd lowest_free(fcntl(shared.get(), F_DUPFD_CLOEXEC, 0));
  rlimit before = {};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  const rlimit full = {static_cast<rlim_t>(lowest_free.get()), before.rlim_max};
  // Not under the limit, which bounds what is on its way, too.
  SendMailbox(shared);
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &full), 0);
  const Answer answer =
      CallWhile([&] { Send(Header(PacketType::kResponse, Receive().call), "answer"); },
                [&] { return Call("question"); });
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
  EXPECT_EQ(answer.status, kOk);
  EXPECT_EQ(answer.message, "answer");
}

TEST_F(PostingTest, AWhileAfterAnAnswerTheSocketIsUsed) {
  ASSERT_OK_AND_ASSIGN(LanePair lane, MakeLane(ClientDescriptors::kRefused));
  service_ = std::move(lane.service);
  ASSERT_OK(SetCancelTick(service_));
  client_ = std::make_unique<LaneClient>(std::move(lane.client));
  GiveMailbox();
  usleep(2 * kPostWithinNs / 1000);
  const Answer answer =
      CallWhile([this] { ServeOnSocket(kFlagWouldPost); }, [this] { return Call("question"); });
  EXPECT_EQ(answer.status, kOk);
  EXPECT_EQ(client_->posted_calls(), 0u);
}

}  // namespace
}  // namespace capbroker::transport
