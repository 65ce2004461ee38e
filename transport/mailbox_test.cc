#include "transport/mailbox.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>
#include <memory>
#include <optional>
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

// All that both ends have mapped.
class SharedBytes {
 public:
  explicit SharedBytes(FdRef memfd) {
    struct stat facts = {};
    EXPECT_EQ(fstat(memfd.get(), &facts), 0);
    size_ = static_cast<size_t>(facts.st_size);
    bytes_ = mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_SHARED, memfd.get(), 0);
    EXPECT_NE(bytes_, MAP_FAILED);
  }
  ~SharedBytes() { munmap(bytes_, size_); }
  void Fill(uint8_t byte) const { std::memset(bytes_, byte, size_); }
  size_t size() const { return size_; }

 private:
  size_t size_ = 0;
  void* bytes_;
};

class MailboxTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_OK_AND_ASSIGN(service_, Mailbox::Make());
    ASSERT_OK_AND_ASSIGN(memfd_, service_->Share());
    ASSERT_OK_AND_ASSIGN(client_, Mailbox::Map(memfd_));
  }

  // What was posted next, and in `slot_`.
  std::string Taken() {
    const std::optional<int> slot = service_->Claim();
    EXPECT_TRUE(slot.has_value());
    slot_ = slot.value_or(0);
    std::array<char, Mailbox::kCapacity> bytes;
    return std::string(bytes.data(), service_->ReadRequest(slot_, bytes.data()));
  }
  std::string Answered(int slot = 0) {
    std::array<char, Mailbox::kCapacity> bytes;
    return std::string(bytes.data(), client_->ReadAnswer(slot, bytes.data()));
  }
  static PacketView Parsed(const std::string& bytes, PacketDirection direction) {
    absl::StatusOr<PacketView> view = ParsePacket(bytes, 0, direction);
    EXPECT_OK(view);
    return view.ok() ? *view : PacketView();
  }

  UniqueFd memfd_;
  int slot_ = -1;
  std::unique_ptr<Mailbox> service_;
  std::unique_ptr<Mailbox> client_;
};

TEST_F(MailboxTest, ARequestIsTakenAndItsAnswerRead) {
  service_->Open();
  ASSERT_TRUE(client_->Post(0, Request(7, "question"), Mailbox::Wait::kLooking));
  EXPECT_EQ(client_->LookForAnswer(0), Mailbox::Answer::kNone);
  ASSERT_TRUE(service_->LookForRequest());
  const std::string taken = Taken();
  EXPECT_EQ(Parsed(taken, PacketDirection::kToService).message, "question");
  EXPECT_FALSE(service_->LookForRequest());
  service_->PutAnswer(0, Response(7, "answer"));
  ASSERT_EQ(client_->LookForAnswer(0), Mailbox::Answer::kHere);
  const std::string answered = Answered();
  EXPECT_EQ(Parsed(answered, PacketDirection::kToClient).message, "answer");
}

TEST_F(MailboxTest, NothingIsPostedWhereNobodyWaits) {
  EXPECT_FALSE(client_->Post(0, Request(1, ""), Mailbox::Wait::kLooking)) << "not opened yet";
  service_->Open();
  service_->Close();
  EXPECT_FALSE(client_->Post(0, Request(1, ""), Mailbox::Wait::kLooking)) << "closed";
  EXPECT_FALSE(service_->LookForRequest());
}

TEST_F(MailboxTest, EachCallHasItsSlot) {
  service_->Open();
  for (int call = 0; call < Mailbox::kSlots; ++call) {
    ASSERT_EQ(client_->TakeSlot(), call);
    ASSERT_TRUE(client_->Post(call, Request(static_cast<uint64_t>(call), "question"),
                              Mailbox::Wait::kLooking));
  }
  EXPECT_EQ(client_->TakeSlot(), std::nullopt);
  for (int call = 0; call < Mailbox::kSlots; ++call) {
    const std::string taken = Taken();
    EXPECT_EQ(slot_, call);
    EXPECT_EQ(Parsed(taken, PacketDirection::kToService).header.call, static_cast<uint64_t>(call));
    service_->PutAnswer(slot_, Response(static_cast<uint64_t>(slot_), "answer"));
  }
  EXPECT_EQ(service_->Claim(), std::nullopt);
  for (int call = 0; call < Mailbox::kSlots; ++call) {
    ASSERT_EQ(client_->LookForAnswer(call), Mailbox::Answer::kHere);
    EXPECT_EQ(Parsed(Answered(call), PacketDirection::kToClient).header.call,
              static_cast<uint64_t>(call));
    client_->FreeSlot(call);
  }
  EXPECT_EQ(client_->TakeSlot(), 0);
}

TEST_F(MailboxTest, ASlotIsFreeWhenItsRequestIsAnsweredOrWithdrawn) {
  service_->Open();
  ASSERT_TRUE(client_->Post(0, Request(1, ""), Mailbox::Wait::kLooking));
  client_->FreeSlot(0);
  EXPECT_EQ(client_->TakeSlot(), 1) << "nobody waits for the answer, but it is still to come";
  Taken();
  service_->PutAnswer(0, Response(1, ""));
  EXPECT_EQ(client_->TakeSlot(), 0);
  EXPECT_EQ(client_->LookForAnswer(0), Mailbox::Answer::kNone);
  ASSERT_TRUE(client_->Post(0, Request(2, ""), Mailbox::Wait::kLooking));
  EXPECT_TRUE(client_->Withdraw(0));
  client_->FreeSlot(0);
  EXPECT_EQ(client_->TakeSlot(), 0);
}

TEST_F(MailboxTest, RequestsAreClaimedInTurn) {
  service_->Open();
  ASSERT_TRUE(client_->Post(3, Request(1, ""), Mailbox::Wait::kLooking));
  Taken();
  ASSERT_EQ(slot_, 3);
  service_->PutAnswer(3, Response(1, ""));
  for (const int slot : {3, 1, 5})
    ASSERT_TRUE(client_->Post(slot, Request(2, ""), Mailbox::Wait::kLooking));
  EXPECT_EQ(service_->Claim(), 5) << "who posts again at once comes after who has waited";
  EXPECT_EQ(service_->Claim(), 1);
  EXPECT_EQ(service_->Claim(), 3);
}

TEST_F(MailboxTest, APostedRequestIsNotLostWhenTheServiceGoes) {
  service_->Open();
  ASSERT_TRUE(client_->Post(0, Request(1, "kept"), Mailbox::Wait::kLooking));
  service_->Close();
  EXPECT_EQ(Parsed(Taken(), PacketDirection::kToService).header.call, 1u);
}

// Whatever falls between what: a request is claimed once, or its client knows that it is not.
TEST_F(MailboxTest, NoRequestIsLostOrServedTwiceWhileTheServiceComesAndGoes) {
  constexpr uint64_t kCalls = 2000;
  std::atomic<bool> stop{false};
  std::atomic<uint64_t> claimed{0};
  std::thread service([&] {
    while (!stop) {
      service_->Open();
      if (service_->WaitForRequest()) std::this_thread::yield();
      service_->Close();
      while (const std::optional<int> slot = service_->Claim()) {
        ++claimed;
        service_->PutAnswer(*slot, Response(1, ""));
      }
    }
  });
  for (uint64_t call = 0; call < kCalls; ++call) {
    while (!client_->Post(0, Request(1, ""),
                          call % 2 == 0 ? Mailbox::Wait::kSleeping : Mailbox::Wait::kLooking)) {
    }
    const int64_t begun_ns = MonotonicNowNs();
    while (client_->WaitForAnswer(0, kLongNs) == Mailbox::Answer::kNone) {
      ASSERT_LT(MonotonicNowNs() - begun_ns, kLongNs / 2) << "call " << call;
    }
  }
  stop = true;
  service.join();
  EXPECT_EQ(claimed, kCalls);
}

TEST_F(MailboxTest, WhatIsPostedWhileTheServiceGoesIsServedOrNotPosted) {
  constexpr int kTimes = 50'000;
  std::atomic<int> round{0};
  std::atomic<int> served{0};
  std::thread service([&] {
    for (int time = 1; time <= kTimes; ++time) {
      while (round < time) std::this_thread::yield();
      // The two meet at another point each time.
      for (int i = 0; i < time % 31; ++i) (void)service_->LookForRequest();
      service_->Close();
      while (const std::optional<int> slot = service_->Claim()) service_->AnswerOnLane(*slot);
      served = time;
    }
  });
  int posted = 0;
  for (int time = 1; time <= kTimes; ++time) {
    service_->Open();
    round = time;
    for (int i = 0; i < time % 53; ++i) (void)client_->LookForAnswer(0);
    const bool is_posted = client_->Post(0, Request(1, ""), Mailbox::Wait::kLooking);
    while (served < time) std::this_thread::yield();
    EXPECT_EQ(client_->LookForAnswer(0),
              is_posted ? Mailbox::Answer::kOnLane : Mailbox::Answer::kNone);
    EXPECT_FALSE(service_->LookForRequest());
    posted += is_posted ? 1 : 0;
    EXPECT_EQ(client_->TakeSlot(), 0);
    client_->FreeSlot(0);
  }
  service.join();
  EXPECT_GT(posted, 0);
}

TEST_F(MailboxTest, OnlyWhatWasNotClaimedIsWithdrawn) {
  service_->Open();
  ASSERT_TRUE(client_->Post(0, Request(1, ""), Mailbox::Wait::kLooking));
  EXPECT_TRUE(client_->Withdraw(0));
  EXPECT_FALSE(service_->LookForRequest());
  ASSERT_TRUE(client_->Post(0, Request(2, ""), Mailbox::Wait::kLooking));
  Taken();
  EXPECT_FALSE(client_->Withdraw(0));
}

TEST_F(MailboxTest, AnAnswerMayComeByTheSocket) {
  service_->Open();
  ASSERT_TRUE(client_->Post(0, Request(1, ""), Mailbox::Wait::kLooking));
  Taken();
  service_->AnswerOnLane(0);
  EXPECT_EQ(client_->LookForAnswer(0), Mailbox::Answer::kOnLane);
  EXPECT_TRUE(client_->Post(0, Request(2, ""), Mailbox::Wait::kLooking));
  EXPECT_EQ(client_->LookForAnswer(0), Mailbox::Answer::kNone);
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
      service_->PutAnswer(slot_, Response(call, "answer"));
      ++call;
    }
  });
  for (uint64_t call = 1; call <= kCalls; ++call) {
    const auto wait = call % 2 == 0 ? Mailbox::Wait::kSleeping : Mailbox::Wait::kLooking;
    while (!client_->Post(0, Request(call, "question"), wait)) {
    }
    Mailbox::Answer answer = Mailbox::Answer::kNone;
    // An answer that wakes nobody would be seen after this time.
    while (answer == Mailbox::Answer::kNone) {
      const int64_t begun_ns = MonotonicNowNs();
      answer = client_->WaitForAnswer(0, kLongNs);
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
      EXPECT_TRUE(client_->Post(0, Request(call, "question"), Mailbox::Wait::kLooking));
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

TEST_F(MailboxTest, AnAnswerRingsTheBellOfWhoWaitsThere) {
  service_->Open();
  ASSERT_TRUE(client_->Post(0, Request(1, ""), Mailbox::Wait::kAtBell));
  ASSERT_TRUE(client_->Post(1, Request(2, ""), Mailbox::Wait::kSleeping));
  client_->ListenForBell();
  service_->PutAnswer(1, Response(2, ""));
  EXPECT_FALSE(client_->WaitForBell(1'000'000)) << "that one is waited for at its slot";
  client_->ListenForBell();
  // Between looking for answers and sleeping: whoever listens does not sleep through it.
  service_->PutAnswer(0, Response(1, ""));
  const int64_t begun_ns = MonotonicNowNs();
  EXPECT_TRUE(client_->WaitForBell(kLongNs));
  EXPECT_LT(MonotonicNowNs() - begun_ns, kLongNs / 2);
  ASSERT_TRUE(client_->Post(0, Request(3, ""), Mailbox::Wait::kAtBell));
  client_->ListenForBell();
  std::thread service([&] {
    usleep(20'000);
    service_->AnswerOnLane(0);
  });
  EXPECT_TRUE(client_->WaitForBell(kLongNs));
  service.join();
  EXPECT_EQ(client_->LookForAnswer(0), Mailbox::Answer::kOnLane);
}

TEST_F(MailboxTest, WhoWaitsForRequestsIsWokenWhenItIsClosed) {
  int64_t fastest_ns = kLongNs;
  for (int time = 0; time < 20; ++time) {
    service_->Open();
    int64_t closed_ns = 0;
    std::thread leader([&] {
      usleep(2000);
      closed_ns = MonotonicNowNs();
      service_->Close();
    });
    EXPECT_FALSE(service_->WaitForRequest());
    const int64_t woken_ns = MonotonicNowNs();
    leader.join();
    fastest_ns = std::min(fastest_ns, woken_ns - closed_ns);
  }
  // By itself it would look at the end of its tick.
  EXPECT_LT(fastest_ns, int64_t{kCancelTickMs} * 1'000'000 / 2);
}

TEST_F(MailboxTest, NobodySleepsLongerThanItSays) {
  service_->Open();
  EXPECT_FALSE(service_->WaitForRequest());
  ASSERT_TRUE(client_->Post(0, Request(1, ""), Mailbox::Wait::kSleeping));
  const int64_t begun_ns = MonotonicNowNs();
  EXPECT_EQ(client_->WaitForAnswer(0, 5'000'000), Mailbox::Answer::kNone);
  EXPECT_GE(MonotonicNowNs() - begun_ns, 4'000'000);
}

TEST_F(MailboxTest, SleepingTakesNoProcessorTime) {
  service_->Open();
  ASSERT_TRUE(client_->Post(0, Request(1, ""), Mailbox::Wait::kSleeping));
  const clock_t before = clock();
  EXPECT_EQ(client_->WaitForAnswer(0, 200'000'000), Mailbox::Answer::kNone);
  EXPECT_LT(clock() - before, CLOCKS_PER_SEC / 50);
}

// TRUST(worker): a peer writes what it likes, whenever it likes.
TEST_F(MailboxTest, NoValueOfTheMemoryLeadsOutOfIt) {
  const SharedBytes shared(memfd_);
  for (const uint8_t byte : {0x00, 0x01, 0x03, 0x7f, 0xff}) {
    shared.Fill(byte);
    // Beyond the array a guard, which AddressSanitizer also watches.
    std::vector<char> bytes(Mailbox::kCapacity + 1, 'g');
    for (int slot = 0; slot < Mailbox::kSlots; ++slot) {
      EXPECT_LE(service_->ReadRequest(slot, bytes.data()), Mailbox::kCapacity);
      EXPECT_LE(client_->ReadAnswer(slot, bytes.data()), Mailbox::kCapacity);
      EXPECT_EQ(bytes.back(), 'g');
    }
    shared.Fill(byte);
    (void)service_->WaitForRequest();
    if (const std::optional<int> slot = service_->Claim()) {
      EXPECT_GE(*slot, 0);
      EXPECT_LT(*slot, Mailbox::kSlots);
    }
    (void)client_->WaitForAnswer(0, 1'000'000);
    service_->PutAnswer(Mailbox::kSlots - 1, Response(1, "answer"));
    shared.Fill(byte);
    service_->Close();
    (void)client_->Withdraw(0);
    (void)client_->TakeSlot();
    (void)client_->Post(0, Request(1, "question"), Mailbox::Wait::kSleeping);
  }
}

TEST_F(MailboxTest, AClientSleepsWhateverTheMemorySays) {
  SharedBytes(memfd_).Fill(0x77);
  const int64_t begun_ns = MonotonicNowNs();
  EXPECT_EQ(client_->WaitForAnswer(0, 30'000'000), Mailbox::Answer::kNone);
  EXPECT_GE(MonotonicNowNs() - begun_ns, 25'000'000);
}

TEST_F(MailboxTest, AClientMapsNoMemoryThatCouldShrink) {
  const UniqueFd unsealed(memfd_create("unsealed", MFD_ALLOW_SEALING));
  ASSERT_EQ(ftruncate(unsealed.get(), static_cast<off_t>(SharedBytes(memfd_).size())), 0);
  EXPECT_THAT(Mailbox::Map(unsealed), StatusIs(absl::StatusCode::kInvalidArgument));
  ASSERT_EQ(fcntl(unsealed.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW), 0);
  EXPECT_OK(Mailbox::Map(unsealed));
  ASSERT_OK_AND_ASSIGN(const UniqueFd small, MakeSealedMessage(100, [](char*) { return true; }));
  EXPECT_THAT(Mailbox::Map(small), StatusIs(absl::StatusCode::kInvalidArgument));
}

}  // namespace
}  // namespace capbroker::transport
