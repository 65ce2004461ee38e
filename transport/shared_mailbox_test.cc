#include "transport/shared_mailbox.h"

#include <semaphore.h>
#include <sys/mman.h>

#include <atomic>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "base/status_matchers.h"
#include "base/unique_fd.h"
#include "gtest/gtest.h"
#include "transport/bulk.h"
#include "transport/packet.h"

namespace capbroker::transport {
namespace {

class SharedMailboxTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_OK_AND_ASSIGN(service_, SharedMailbox::Make(memory_));
    ASSERT_OK_AND_ASSIGN(client_, SharedMailbox::Map(memory_));
  }

  // Whoever waits is awake.
  void WakeBoth() {
    client_->RouseService(client_->service_rests());
    service_->RouseClient(service_->client_rests());
  }
  static OutgoingPacket Packet(PacketType type, uint64_t call, absl::string_view message = {}) {
    OutgoingPacket packet;
    packet.header.type = type;
    packet.header.call = call;
    packet.message = message;
    return packet;
  }
  bool Request(int slot, uint64_t call, uint32_t lane = 0, absl::string_view message = {}) {
    return client_->PutRequest(slot, lane, Packet(PacketType::kRequest, call, message));
  }
  bool Answer(int slot, uint64_t call, absl::string_view message = {}) {
    return service_->PutAnswer(slot, Packet(PacketType::kResponse, call, message));
  }
  static uint64_t CallOf(const char* bytes, size_t size, PacketDirection direction) {
    const auto view = ParsePacket(absl::string_view(bytes, size), 0, direction);
    EXPECT_OK(view);
    return view.ok() ? view->header.call : 0;
  }

  UniqueFd memory_;
  std::unique_ptr<SharedMailbox> service_;
  std::unique_ptr<SharedMailbox> client_;
};

TEST_F(SharedMailboxTest, CarriesARequestAndItsAnswer) {
  WakeBoth();
  ASSERT_TRUE(Request(5, 77, 9, "question"));
  EXPECT_TRUE(service_->HasRequest());
  EXPECT_EQ(service_->TakeRequest(), 5);
  EXPECT_EQ(service_->TakeRequest(), std::nullopt);
  char bytes[SharedMailbox::kCapacity];
  uint32_t lane = 0;
  const size_t size = service_->ReadRequest(5, lane, bytes);
  EXPECT_EQ(lane, 9u);
  const auto request = ParsePacket(absl::string_view(bytes, size), 0, PacketDirection::kToService);
  ASSERT_OK(request);
  EXPECT_EQ(request->header.call, 77u);
  EXPECT_EQ(request->message, "question");
  EXPECT_FALSE(client_->IsLeft(5));
  ASSERT_TRUE(Answer(5, 77, "answer"));
  EXPECT_EQ(client_->TakeAnswer(), 5);
  EXPECT_EQ(CallOf(bytes, client_->ReadAnswer(5, bytes), PacketDirection::kToClient), 77u);
}

TEST_F(SharedMailboxTest, WhatIsPutForWhoRestsIsTakenBack) {
  // From the beginning: nobody has looked here yet.
  EXPECT_TRUE(client_->service_rests().has_value());
  EXPECT_FALSE(Request(0, 1));
  EXPECT_FALSE(service_->HasRequest());
  EXPECT_TRUE(client_->IsLeft(0));
  EXPECT_FALSE(Answer(0, 1));
  EXPECT_EQ(client_->TakeAnswer(), std::nullopt);
  WakeBoth();
  EXPECT_FALSE(client_->service_rests().has_value());
  EXPECT_TRUE(Request(0, 1));
}

TEST_F(SharedMailboxTest, WhoWouldRestSeesWhatIsThere) {
  WakeBoth();
  ASSERT_TRUE(Request(0, 1));
  EXPECT_FALSE(service_->RestService());
  // It is awake, and a further request is for it.
  EXPECT_TRUE(Request(1, 2));
  EXPECT_EQ(service_->TakeRequest(), 0);
  EXPECT_EQ(service_->TakeRequest(), 1);
  EXPECT_TRUE(service_->RestService());
  EXPECT_FALSE(Request(0, 3));
  ASSERT_TRUE(Answer(0, 1));
  EXPECT_FALSE(client_->RestClient());
  EXPECT_EQ(client_->TakeAnswer(), 0);
  EXPECT_TRUE(client_->RestClient());
  EXPECT_FALSE(Answer(1, 2));
}

TEST_F(SharedMailboxTest, WhoRestsAgainIsNotRousedByWhatWokeItBefore) {
  const SharedMailbox::Resting before = client_->service_rests();
  ASSERT_TRUE(before.has_value());
  // The packet was received, and everything is done.
  EXPECT_TRUE(service_->RestService());
  client_->RouseService(before);
  EXPECT_TRUE(client_->service_rests().has_value());
  EXPECT_NE(client_->service_rests(), before);
}

TEST_F(SharedMailboxTest, ARequestIsWithdrawnUntilItIsTaken) {
  WakeBoth();
  ASSERT_TRUE(Request(0, 1));
  EXPECT_TRUE(client_->Withdraw(0));
  EXPECT_TRUE(client_->IsLeft(0));
  EXPECT_EQ(service_->TakeRequest(), std::nullopt);
  ASSERT_TRUE(Request(0, 2));
  EXPECT_EQ(service_->TakeRequest(), 0);
  EXPECT_FALSE(client_->Withdraw(0));
  EXPECT_FALSE(client_->IsLeft(0));
  service_->Leave(0);
  EXPECT_TRUE(client_->IsLeft(0));
}

// An abandoned slot with an answer must not be used before that is taken: the answer would be to
// the request there.
TEST_F(SharedMailboxTest, ASlotWithAnAnswerIsNotLeft) {
  WakeBoth();
  ASSERT_TRUE(Request(0, 1));
  EXPECT_EQ(service_->TakeRequest(), 0);
  ASSERT_TRUE(Answer(0, 1));
  EXPECT_FALSE(client_->IsLeft(0));
}

TEST_F(SharedMailboxTest, EverySlotHasItsTurn) {
  WakeBoth();
  for (int slot = 0; slot < SharedMailbox::kSlots; ++slot) ASSERT_TRUE(Request(slot, 1));
  for (int slot = 0; slot < SharedMailbox::kSlots; ++slot) {
    ASSERT_EQ(service_->TakeRequest(), slot);
    // Who calls at once again waits for the others.
    ASSERT_TRUE(Request(slot, 1));
  }
  EXPECT_EQ(service_->TakeRequest(), 0);
}

TEST_F(SharedMailboxTest, HasRoomForWhatFits) {
  WakeBoth();
  const std::string most(SharedMailbox::kCapacity - sizeof(PacketHeader), 'x');
  EXPECT_TRUE(SharedMailbox::Fits(Packet(PacketType::kRequest, 1, most)));
  EXPECT_FALSE(SharedMailbox::Fits(Packet(PacketType::kRequest, 1, most + "x")));
  ASSERT_TRUE(Request(3, 1, 0, most));
  char bytes[SharedMailbox::kCapacity];
  uint32_t lane;
  const size_t size = service_->ReadRequest(3, lane, bytes);
  ASSERT_EQ(size, SharedMailbox::kCapacity);
  EXPECT_EQ(absl::string_view(bytes, size).substr(sizeof(PacketHeader)), most);
}

// TRUST(worker)
TEST_F(SharedMailboxTest, AnImpossibleSizeReadsNoMoreThanASlot) {
  constexpr size_t kMemory = SharedMailbox::kSlots * 512;
  void* memory = mmap(nullptr, kMemory, PROT_READ | PROT_WRITE, MAP_SHARED, memory_.get(), 0);
  ASSERT_NE(memory, MAP_FAILED);
  std::memset(memory, 0xff, kMemory);
  char bytes[SharedMailbox::kCapacity + 1];
  bytes[SharedMailbox::kCapacity] = 'e';
  uint32_t lane;
  EXPECT_EQ(service_->ReadRequest(0, lane, bytes), SharedMailbox::kCapacity);
  EXPECT_EQ(client_->ReadAnswer(SharedMailbox::kSlots / 2, bytes), SharedMailbox::kCapacity);
  EXPECT_EQ(bytes[SharedMailbox::kCapacity], 'e');
  munmap(memory, kMemory);
}

TEST_F(SharedMailboxTest, MemoryOfAnotherSizeIsNotMapped) {
  ASSERT_OK_AND_ASSIGN(const UniqueFd small, MakeRequestBuffer(4096));
  EXPECT_TRUE(absl::IsInvalidArgument(SharedMailbox::Map(small).status()));
}

// Two ends that rest whenever there is nothing, and are woken as by a socket: no packet is ever
// left lying while who is to take it rests.
TEST_F(SharedMailboxTest, NothingIsLeftLyingWhileItsReceiverRests) {
  constexpr int kCalls = 200'000;
  constexpr int kAtOnce = 3;
  struct Socket {
    Socket() { sem_init(&packets, 0, 0); }
    ~Socket() { sem_destroy(&packets); }
    // False: nothing came for a long time.
    bool Wait() {
      timespec until;
      clock_gettime(CLOCK_REALTIME, &until);
      until.tv_sec += 20;
      return sem_timedwait(&packets, &until) == 0;
    }
    bool Poll() { return sem_trywait(&packets) == 0; }
    sem_t packets;
  };
  Socket to_service;
  Socket to_client;
  std::atomic<int> by_mailbox{0};
  std::thread service([&] {
    const auto answer = [&](bool by_slot, int slot) {
      const SharedMailbox::Resting resting = service_->client_rests();
      if (by_slot && !resting && Answer(slot, 1)) return;
      if (by_slot && resting) service_->Leave(slot);
      sem_post(&to_client.packets);
      service_->RouseClient(resting);
    };
    for (int served = 0; served < kCalls;) {
      if (const std::optional<int> slot = service_->TakeRequest()) {
        answer(true, *slot);
        ++by_mailbox;
        ++served;
      } else if (to_service.Poll() || (service_->RestService() && to_service.Wait())) {
        answer(false, 0);
        ++served;
      }
    }
  });
  int started = 0;
  int ended = 0;
  std::vector<int> in_use;
  const auto start = [&](int slot) {
    ++started;
    const SharedMailbox::Resting resting = client_->service_rests();
    if (!resting && Request(slot, 1)) return in_use.push_back(slot);
    sem_post(&to_service.packets);
    client_->RouseService(resting);
  };
  while (ended < kCalls) {
    // The slots that are not in use: of the answered ones any.
    for (int slot = 0; slot < 8 && started < kCalls && started - ended < kAtOnce; ++slot) {
      if (client_->IsLeft(slot)) start(slot);
    }
    if (const std::optional<int> slot = client_->TakeAnswer()) {
      service_->Leave(*slot);  // by this end, which has it back
      ++ended;
    } else if (to_client.Poll()) {
      ++ended;
    } else if (client_->RestClient()) {
      ASSERT_TRUE(to_client.Wait()) << started << " " << ended;
      ++ended;
    }
  }
  service.join();
  EXPECT_GT(by_mailbox, 0);
}

}  // namespace
}  // namespace capbroker::transport
