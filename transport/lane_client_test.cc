// A client of a service that sends what no honest one does about large messages.
#include "transport/lane_client.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "base/status_matchers.h"
#include "base/unique_fd.h"
#include "gtest/gtest.h"
#include "transport/lane_socket.h"
#include "transport/message_memory.h"
#include "transport/packet.h"

namespace capbroker::transport {
namespace {

constexpr size_t kSize = 200'000;
constexpr uint32_t kNumber = 5;
constexpr int kInvalidArgument = 3;

struct Answer {
  int32_t status = 0;
  std::string message;
};

// The service is the test's own, on another thread.
class LaneClientTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_OK_AND_ASSIGN(LanePair lane, MakeLane(ClientDescriptors::kRefused));
    service_ = std::move(lane.service);
    ASSERT_OK(SetCancelTick(service_));
    client_ = std::make_unique<LaneClient>(std::move(lane.client));
  }

  static LaneRequest Request(size_t size, absl::FunctionRef<bool(char*)> serialize) {
    return {.method = 1,
            .deadline_ns = 0,
            .metadata = {},
            .message_size = size,
            .serialize = serialize,
            .descriptors = {}};
  }

  Answer Call(size_t size) {
    const auto serialize = [size](char* bytes) {
      std::memset(bytes, 'q', size);
      return true;
    };
    Answer answer;
    client_->Call(
        Request(size, serialize), [] { return false; },
        [&](Reply& reply) {
          answer.status = reply.status;
          reply.message.AppendTo(answer.message);
        });
    return answer;
  }

  // The next packet of the client.
  PacketHeader Receive() {
    absl::StatusOr<std::optional<ReceivedPacket>> packet = std::nullopt;
    for (int i = 0; i < 500 && packet.ok() && !packet->has_value(); ++i) {
      packet = ReceivePacket(service_, buffer_, PacketDirection::kToService, Blocking::kWait);
    }
    EXPECT_OK(packet);
    if (!packet.ok() || !packet->has_value()) return {};
    return (*packet)->view.header;
  }

  void Send(PacketType type, uint64_t call, uint8_t flags, size_t size, FdRef memory = FdRef()) {
    OutgoingPacket packet;
    if ((flags & kFlagKept) != 0 && memory.valid()) packet.header.memory = kNumber;
    packet.header.type = type;
    packet.header.call = call;
    packet.header.flags = flags;
    packet.header.message_size = static_cast<uint32_t>(size);
    const FdRef sent[] = {memory};
    if (memory.valid()) packet.descriptors = sent;
    EXPECT_OK(SendPacket(service_, packet).status);
  }

  // Runs `serve` while the client makes a call.
  Answer CallWhile(size_t size, const std::function<void()>& serve) {
    std::thread service(serve);
    Answer answer = Call(size);
    service.join();
    return answer;
  }

  std::unique_ptr<MessageMemory> NewMemory(char content) {
    std::unique_ptr<MessageMemory> memory = MessageMemory::Make(kSize).value();
    EXPECT_OK(memory->Write(kSize, [content](char* bytes) {
      std::memset(bytes, content, kSize);
      return true;
    }));
    return memory;
  }

  // Calls, the second of which the service answers with memory to be kept.
  void BringMemory(const MessageMemory& memory) {
    AnswerLarge();
    const Answer answer = CallWhile(0, [&] {
      const PacketHeader request = Receive();
      EXPECT_EQ(request.flags, kFlagKept);
      EXPECT_EQ(request.memory, 0u);
      Send(PacketType::kResponse, request.call, kFlagBulk | kFlagKept, kSize,
           memory.Share().value());
    });
    EXPECT_EQ(answer.status, 0);
    EXPECT_EQ(answer.message.size(), kSize);
  }

  // Of the method's next call the client expects a large answer.
  void AnswerLarge() {
    const UniqueFd memory = NewMemory('b')->Share().value();
    CallWhile(0, [&] {
      const PacketHeader request = Receive();
      EXPECT_EQ(request.flags, kFlagWouldPost | kFlagNoMailbox);
      Send(PacketType::kResponse, request.call, kFlagBulk, kSize, memory);
    });
  }

  UniqueFd service_;
  ReceiveBuffer buffer_;
  std::unique_ptr<LaneClient> client_;
};

TEST_F(LaneClientTest, LendsWhatItWasBroughtToLargeRequestsAndToMethodsOfLargeAnswers) {
  const std::unique_ptr<MessageMemory> memory = NewMemory('a');
  BringMemory(*memory);
  for (const size_t size : {kSize, size_t{0}, kSize}) {
    const Answer answer = CallWhile(size, [&] {
      const PacketHeader request = Receive();
      EXPECT_EQ(request.flags, size == 0 ? kFlagKept : kFlagKept | kFlagInKept);
      EXPECT_EQ(request.memory, kNumber);
      std::string bytes;
      memory->Read(size).AppendTo(bytes);
      EXPECT_EQ(bytes, std::string(size, 'q'));
      Send(PacketType::kResponse, request.call, kFlagKept | kFlagInKept, kSize);
    });
    EXPECT_EQ(answer.status, 0);
    EXPECT_EQ(answer.message.size(), kSize);
  }
}

TEST_F(LaneClientTest, AMethodWhoseAnswersBecomeSmallTakesNoMemoryAnyMore) {
  AnswerLarge();
  for (int call = 0; call <= kSmallAgain; ++call) {
    CallWhile(0, [&] {
      const PacketHeader request = Receive();
      const int expected = call < kSmallAgain ? int{kFlagKept} : kFlagWouldPost | kFlagNoMailbox;
      EXPECT_EQ(request.flags, expected) << call;
      Send(PacketType::kResponse, request.call, 0, 0);
    });
  }
}

TEST_F(LaneClientTest, HasNoMemoryAnyMoreThatAnAnswerDidNotGiveBack) {
  const std::unique_ptr<MessageMemory> memory = NewMemory('a');
  BringMemory(*memory);
  CallWhile(0, [&] { Send(PacketType::kResponse, Receive().call, 0, 0); });
  CallWhile(kSize, [&] {
    const PacketHeader request = Receive();
    EXPECT_EQ(request.type, PacketType::kBufferRequest);
    EXPECT_EQ(request.flags, kFlagKept);
    Send(PacketType::kResponse, request.call, 0, 0);
  });
}

TEST_F(LaneClientTest, HasNoMemoryAnyMoreWhenAnotherProcessServes) {
  const std::unique_ptr<MessageMemory> memory = NewMemory('a');
  BringMemory(*memory);
  Send(PacketType::kEpoch, 0, 0, 0);
  CallWhile(kSize, [&] {
    const PacketHeader request = Receive();
    EXPECT_EQ(request.type, PacketType::kBufferRequest);
    EXPECT_EQ(request.flags, kFlagKept);
    Send(PacketType::kResponse, request.call, 0, 0);
  });
}

TEST_F(LaneClientTest, AnswerInMemoryThatTheClientDoesNotHaveFailsItsCall) {
  const Answer answer = CallWhile(
      0, [&] { Send(PacketType::kResponse, Receive().call, kFlagKept | kFlagInKept, kSize); });
  EXPECT_EQ(answer.status, kInvalidArgument);
}

TEST_F(LaneClientTest, AnswerLargerThanItsMemoryFailsItsCall) {
  const std::unique_ptr<MessageMemory> memory = NewMemory('a');
  BringMemory(*memory);
  const Answer answer = CallWhile(kSize, [&] {
    Send(PacketType::kResponse, Receive().call, kFlagKept | kFlagInKept, kSize + 4096);
  });
  EXPECT_EQ(answer.status, kInvalidArgument);
}

TEST_F(LaneClientTest, AnswerInMemoryThatCouldShrinkFailsItsCall) {
  const UniqueFd memory(memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  ASSERT_EQ(ftruncate(memory.get(), kSize), 0);
  AnswerLarge();
  const Answer answer = CallWhile(0, [&] {
    Send(PacketType::kResponse, Receive().call, kFlagBulk | kFlagKept, kSize, memory);
  });
  EXPECT_EQ(answer.status, kInvalidArgument);
}

TEST_F(LaneClientTest, MemoryForARequestThatCouldShrinkIsNotWritten) {
  for (const uint8_t flags : {uint8_t{0}, kFlagKept}) {
    const UniqueFd memory(memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    ASSERT_EQ(ftruncate(memory.get(), kSize), 0);
    const Answer answer =
        CallWhile(kSize, [&] { Send(PacketType::kBuffer, Receive().call, flags, 0, memory); });
    EXPECT_EQ(answer.status, kInvalidArgument) << int{flags};
  }
}

TEST_F(LaneClientTest, AnswerThatComesBeforeItsRequestHarmsNobody) {
  const std::unique_ptr<MessageMemory> memory = NewMemory('a');
  const Answer answer = CallWhile(kSize, [&] {
    const PacketHeader asked = Receive();
    Send(PacketType::kBuffer, asked.call, kFlagKept, 0, memory->Share().value());
    Send(PacketType::kResponse, asked.call, kFlagKept, 0);
    Send(PacketType::kResponse, asked.call, kFlagKept | kFlagInKept, kSize);
    EXPECT_EQ(Receive().flags, kFlagKept | kFlagInKept);
  });
  EXPECT_EQ(answer.status, 0);
  CallWhile(0, [&] { Send(PacketType::kResponse, Receive().call, 0, 0); });
}

TEST_F(LaneClientTest, MemoryThatWasNotAskedForFailsItsCall) {
  const std::unique_ptr<MessageMemory> memory = NewMemory('a');
  const Answer answer = CallWhile(0, [&] {
    Send(PacketType::kResponse, Receive().call, kFlagBulk | kFlagKept, kSize,
         memory->Share().value());
  });
  EXPECT_EQ(answer.status, kInvalidArgument);
}

TEST_F(LaneClientTest, MemoryIsAtOneCallsDisposalAtATime) {
  const std::unique_ptr<MessageMemory> memory = NewMemory('a');
  BringMemory(*memory);
  std::thread first;
  CallWhile(kSize, [&] {
    const PacketHeader request = Receive();
    EXPECT_EQ(request.flags, kFlagKept | kFlagInKept);
    first = std::thread([this] { Call(kSize); });
    const PacketHeader other = Receive();
    EXPECT_EQ(other.type, PacketType::kBufferRequest);
    EXPECT_EQ(other.flags, 0);
    Send(PacketType::kResponse, other.call, 0, 0);
    Send(PacketType::kResponse, request.call, kFlagKept, 0);
  });
  first.join();
}

TEST_F(LaneClientTest, AnOwnerWithAnEventLoopTakesNoMemoryToKeep) {
  AnswerLarge();
  client_->UseExternalPump();
  const std::unique_ptr<MessageMemory> memory = NewMemory('a');
  int32_t status = 0;
  client_->StartCall(
      Request(0, [](char*) { return true; }), [] { return false; },
      [&](Reply& reply) { status = reply.status; });
  Send(PacketType::kResponse, Receive().call, kFlagBulk | kFlagKept, kSize,
       memory->Share().value());
  EXPECT_OK(client_->Pump());
  EXPECT_EQ(status, kInvalidArgument);
}

}  // namespace
}  // namespace capbroker::transport
