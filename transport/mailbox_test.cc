#include "transport/mailbox.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/string_view.h"
#include "base/status_matchers.h"
#include "base/unique_fd.h"
#include "gtest/gtest.h"
#include "transport/bulk.h"
#include "transport/lane_socket.h"
#include "transport/packet.h"

namespace capbroker::transport {
namespace {

using ::capbroker::testing::StatusIs;

constexpr int64_t kLongNs = 20'000'000'000;

OutgoingPacket Packet(PacketType type, uint64_t call, absl::string_view message) {
  PacketHeader header = {};
  header.type = type;
  header.call = call;
  return {header, {}, message, {}};
}

OutgoingPacket Request(uint64_t call, absl::string_view message) {
  return Packet(PacketType::kRequest, call, message);
}

OutgoingPacket Response(uint64_t call, absl::string_view message) {
  return Packet(PacketType::kResponse, call, message);
}

class MailboxTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_OK_AND_ASSIGN(service_, Mailbox::Make());
    ASSERT_OK_AND_ASSIGN(memfd_, service_->Share());
    ASSERT_OK_AND_ASSIGN(client_, Mailbox::Map(memfd_));
  }

  std::string Taken() {
    std::array<char, Mailbox::kCapacity> bytes;
    return std::string(bytes.data(), service_->TakeRequest(bytes.data()));
  }
  std::string Answered() {
    std::array<char, Mailbox::kCapacity> bytes;
    return std::string(bytes.data(), client_->ReadAnswer(bytes.data()));
  }
  static PacketView Parsed(const std::string& bytes, PacketDirection direction) {
    absl::StatusOr<PacketView> view = ParsePacket(bytes, 0, direction);
    EXPECT_OK(view);
    return view.ok() ? *view : PacketView();
  }

  UniqueFd memfd_;
  std::unique_ptr<Mailbox> service_;
  std::unique_ptr<Mailbox> client_;
};

TEST_F(MailboxTest, ARequestIsTakenAndItsAnswerRead) {
  service_->Open();
  ASSERT_TRUE(client_->Post(Request(7, "question"), /*sleeps=*/false));
  EXPECT_EQ(client_->LookForAnswer(), Mailbox::Answer::kNone);
  ASSERT_TRUE(service_->LookForRequest());
  const std::string taken = Taken();
  EXPECT_EQ(Parsed(taken, PacketDirection::kToService).message, "question");
  EXPECT_FALSE(service_->LookForRequest());
  service_->PutAnswer(Response(7, "answer"), Mailbox::Next::kAwake);
  ASSERT_EQ(client_->LookForAnswer(), Mailbox::Answer::kHere);
  const std::string answered = Answered();
  EXPECT_EQ(Parsed(answered, PacketDirection::kToClient).message, "answer");
}

TEST_F(MailboxTest, NothingIsPostedWhereNobodyWaits) {
  EXPECT_FALSE(client_->Post(Request(1, ""), false)) << "not opened yet";
  service_->Open();
  EXPECT_TRUE(service_->Close());
  EXPECT_FALSE(client_->Post(Request(1, ""), false)) << "closed";
  service_->Open();
  ASSERT_TRUE(client_->Post(Request(1, ""), false));
  EXPECT_FALSE(client_->Post(Request(2, ""), false)) << "another is posted";
  Taken();
  EXPECT_FALSE(client_->Post(Request(2, ""), false)) << "another is taken";
  service_->PutAnswer(Response(1, ""), Mailbox::Next::kAway);
  EXPECT_FALSE(client_->Post(Request(2, ""), false)) << "closed with the answer";
}

TEST_F(MailboxTest, APostedRequestIsNotLostWhenTheServiceGoes) {
  service_->Open();
  ASSERT_TRUE(client_->Post(Request(1, "kept"), false));
  EXPECT_FALSE(service_->Close());
  EXPECT_EQ(Parsed(Taken(), PacketDirection::kToService).header.call, 1u);
}

TEST_F(MailboxTest, OnlyWhatWasNotTakenIsWithdrawn) {
  service_->Open();
  ASSERT_TRUE(client_->Post(Request(1, ""), false));
  EXPECT_TRUE(client_->Withdraw());
  EXPECT_FALSE(service_->LookForRequest());
  service_->Open();
  ASSERT_TRUE(client_->Post(Request(2, ""), false));
  Taken();
  EXPECT_FALSE(client_->Withdraw());
}

TEST_F(MailboxTest, AnAnswerMayComeByTheSocket) {
  service_->Open();
  ASSERT_TRUE(client_->Post(Request(1, ""), false));
  Taken();
  service_->AnswerOnLane(Mailbox::Next::kAsleep);
  EXPECT_EQ(client_->LookForAnswer(), Mailbox::Answer::kOnLane);
  EXPECT_TRUE(client_->Post(Request(2, ""), false)) << "the mailbox is open again";
  EXPECT_EQ(client_->LookForAnswer(), Mailbox::Answer::kNone);
}

TEST_F(MailboxTest, WhatHasNoRoomIsNotPosted) {
  const std::string largest(Mailbox::kCapacity - sizeof(PacketHeader), 'x');
  EXPECT_TRUE(Mailbox::Fits(Request(1, largest)));
  EXPECT_FALSE(Mailbox::Fits(Request(1, largest + "x")));
  OutgoingPacket packet = Request(1, "x");
  packet.metadata = largest;
  EXPECT_FALSE(Mailbox::Fits(packet));
  const FdRef descriptors[] = {memfd_};
  packet = Request(1, "");
  packet.descriptors = descriptors;
  EXPECT_FALSE(Mailbox::Fits(packet));
  packet = Request(1, "");
  packet.header.flags = kFlagKept | kFlagInKept;
  EXPECT_FALSE(Mailbox::Fits(packet));
}

TEST_F(MailboxTest, SleepersAreWokenWhoeverSleepsFirst) {
  constexpr uint64_t kCalls = 3000;
  service_->Open();
  std::thread service([&] {
    for (uint64_t call = 1; call <= kCalls;) {
      if (call % 3 == 0) {
        while (!service_->LookForRequest()) {
        }
      } else if (!service_->WaitForRequest()) {
        continue;
      }
      EXPECT_EQ(Parsed(Taken(), PacketDirection::kToService).header.call, call);
      service_->PutAnswer(Response(call, "answer"),
                          (call + 1) % 3 == 0 ? Mailbox::Next::kAwake : Mailbox::Next::kAsleep);
      ++call;
    }
  });
  for (uint64_t call = 1; call <= kCalls; ++call) {
    const bool sleeps = call % 2 == 0;
    while (!client_->Post(Request(call, "question"), sleeps)) {
    }
    Mailbox::Answer answer = Mailbox::Answer::kNone;
    // An answer that wakes nobody would be seen after this time.
    while (answer == Mailbox::Answer::kNone) {
      const int64_t begun_ns = MonotonicNowNs();
      answer = client_->WaitForAnswer(kLongNs);
      ASSERT_LT(MonotonicNowNs() - begun_ns, kLongNs / 2) << "call " << call;
    }
    ASSERT_EQ(answer, Mailbox::Answer::kHere);
    const std::string answered = Answered();
    ASSERT_EQ(Parsed(answered, PacketDirection::kToClient).header.call, call);
  }
  service.join();
}

TEST_F(MailboxTest, ARequestWakesTheServiceAtOnce) {
  int64_t fastest_ns = kLongNs;
  for (uint64_t call = 1; call <= 20; ++call) {
    service_->Open();
    int64_t posted_ns = 0;
    std::thread client([&] {
      usleep(2000);
      posted_ns = MonotonicNowNs();
      EXPECT_TRUE(client_->Post(Request(call, "question"), false));
    });
    while (!service_->WaitForRequest()) {
    }
    const int64_t woken_ns = MonotonicNowNs();
    client.join();
    fastest_ns = std::min(fastest_ns, woken_ns - posted_ns);
    (void)Taken();
  }
  // By itself it would look at the end of its tick.
  EXPECT_LT(fastest_ns, int64_t{kCancelTickMs} * 1'000'000 / 2);
}

TEST_F(MailboxTest, NobodySleepsLongerThanItSays) {
  service_->Open();
  EXPECT_FALSE(service_->WaitForRequest());
  ASSERT_TRUE(client_->Post(Request(1, ""), true));
  const int64_t begun_ns = MonotonicNowNs();
  EXPECT_EQ(client_->WaitForAnswer(5'000'000), Mailbox::Answer::kNone);
  EXPECT_GE(MonotonicNowNs() - begun_ns, 4'000'000);
}

TEST_F(MailboxTest, SleepingTakesNoProcessorTime) {
  service_->Open();
  ASSERT_TRUE(client_->Post(Request(1, ""), true));
  const clock_t before = clock();
  EXPECT_EQ(client_->WaitForAnswer(200'000'000), Mailbox::Answer::kNone);
  EXPECT_LT(clock() - before, CLOCKS_PER_SEC / 50);
}

// TRUST(worker): a peer writes what it likes, whenever it likes.
TEST_F(MailboxTest, NoValueOfThePageLeadsOutOfIt) {
  void* page = mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, memfd_.get(), 0);
  ASSERT_NE(page, MAP_FAILED);
  for (const uint8_t byte : {0x00, 0x01, 0x03, 0x7f, 0xff}) {
    std::memset(page, byte, 4096);
    // Beyond the array a guard, which AddressSanitizer also watches.
    std::vector<char> bytes(Mailbox::kCapacity + 1, 'g');
    EXPECT_LE(service_->TakeRequest(bytes.data()), Mailbox::kCapacity);
    EXPECT_LE(client_->ReadAnswer(bytes.data()), Mailbox::kCapacity);
    EXPECT_EQ(bytes.back(), 'g');
    std::memset(page, byte, 4096);
    (void)service_->WaitForRequest();
    (void)client_->WaitForAnswer(1'000'000);
    service_->PutAnswer(Response(1, "answer"), Mailbox::Next::kAsleep);
    std::memset(page, byte, 4096);
    (void)service_->Close();
    (void)client_->Withdraw();
    (void)client_->Post(Request(1, "question"), true);
  }
  munmap(page, 4096);
}

TEST_F(MailboxTest, WhoWaitsSleepsWhateverThePageSays) {
  void* page = mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, memfd_.get(), 0);
  ASSERT_NE(page, MAP_FAILED);
  std::memset(page, 0x77, 4096);
  const int64_t begun_ns = MonotonicNowNs();
  EXPECT_EQ(client_->WaitForAnswer(30'000'000), Mailbox::Answer::kNone);
  EXPECT_GE(MonotonicNowNs() - begun_ns, 25'000'000);
  EXPECT_FALSE(service_->WaitForRequest());
  EXPECT_GE(MonotonicNowNs() - begun_ns, 40'000'000);
  munmap(page, 4096);
}

TEST_F(MailboxTest, AClientMapsNoMemoryThatCouldShrink) {
  const UniqueFd unsealed(memfd_create("unsealed", MFD_ALLOW_SEALING));
  ASSERT_EQ(ftruncate(unsealed.get(), 4096), 0);
  EXPECT_THAT(Mailbox::Map(unsealed), StatusIs(absl::StatusCode::kInvalidArgument));
  ASSERT_EQ(fcntl(unsealed.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW), 0);
  EXPECT_OK(Mailbox::Map(unsealed));
  ASSERT_OK_AND_ASSIGN(const UniqueFd small, MakeSealedMessage(100, [](char*) { return true; }));
  EXPECT_THAT(Mailbox::Map(small), StatusIs(absl::StatusCode::kInvalidArgument));
}

}  // namespace
}  // namespace capbroker::transport
