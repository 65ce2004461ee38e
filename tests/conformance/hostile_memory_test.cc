// What no honest client does with the memory of large messages: the call fails or the lane ends,
// nothing crashes, and no other channel notices.
#include <fcntl.h>
#include <grpcpp/client_context.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "base/status_matchers.h"
#include "base/unique_fd.h"
#include "gtest/gtest.h"
#include "serving/events/event_loop.h"
#include "serving/lane/lane_server.h"
#include "serving/lane/method_table.h"
#include "serving/lane/served_lane.h"
#include "tests/conformance/conformance.capbroker.h"
#include "tests/conformance/conformance.dispatch.h"
#include "tests/conformance/conformance_service.h"
#include "tests/conformance/hostile_lane_fixture.h"
#include "tests/conformance/local_family.h"
#include "transport/channel.h"
#include "transport/lane_socket.h"
#include "transport/packet.h"
#include "transport/stub.h"

namespace capbroker::testing {
namespace {

class HostileMemoryTest : public HostileLaneTest {
 protected:
  // Memory that the service keeps, with a request in it that was answered in its place.
  UniqueFd KeptMemory(FdRef lane) {
    PacketHeader ask = {};
    ask.magic = transport::kPacketMagic;
    ask.type = PacketType::kBufferRequest;
    ask.call = ++call_;
    ask.flags = transport::kFlagKept;
    ask.message_size = static_cast<uint32_t>(large_.size());
    SendRaw(lane, Packet(ask));
    transport::ReceivedPacket given = NextPacket(lane);
    EXPECT_EQ(given.view.header.flags, transport::kFlagKept);
    if (given.descriptors.size() != 1) return UniqueFd();
    number_ = given.view.header.memory;
    Fill(given.descriptors[0]);
    EXPECT_EQ(CallInKept(lane, large_.size(), call_), grpc::StatusCode::OK);
    return std::move(given.descriptors[0]);
  }

  void Fill(FdRef memory) {
    EXPECT_EQ(pwrite(memory.get(), large_.data(), large_.size(), 0),
              static_cast<ssize_t>(large_.size()));
  }

  // The status of a request that says it is in kept memory.
  int CallInKept(FdRef lane, size_t size) { return CallInKept(lane, size, ++call_); }
  int CallInKept(FdRef lane, size_t size, uint64_t call) {
    PacketHeader header = Request(kEcho, call, size);
    header.flags = transport::kFlagKept | transport::kFlagInKept;
    header.memory = number_;
    SendRaw(lane, Packet(header));
    return NextPacket(lane).view.header.status;
  }

  const std::string large_ = [] {
    v1::EchoRequest request;
    request.set_word("yes");
    request.set_payload(std::string(1 << 20, 'x'));
    request.set_times(1);
    return request.SerializeAsString();
  }();
  uint32_t number_ = 1;  // of the kept memory
  uint64_t call_ = 100;
};

TEST_F(HostileMemoryTest, BulkRequestWithoutItsBufferIsInvalidArgument) {
  PacketHeader header = Request(kEcho, 1, 1 << 20);
  header.flags = transport::kFlagBulk;
  ExpectAnswered(Packet(header), grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_F(HostileMemoryTest, BufferLargerThanAnyMethodTakesIsResourceExhausted) {
  PacketHeader header = {};
  header.magic = transport::kPacketMagic;
  header.type = PacketType::kBufferRequest;
  header.call = 1;
  header.message_size = 0;
  ExpectAnswered(Packet(header), grpc::StatusCode::RESOURCE_EXHAUSTED);
}

TEST_F(HostileMemoryTest, HoardedBuffersAreBounded) {
  const UniqueFd lane = HostileLane();
  transport::ReceiveBuffer buffer;
  int granted = 0;
  int refused = 0;
  for (uint64_t call = 1; call <= 100; ++call) {
    PacketHeader header = {};
    header.magic = transport::kPacketMagic;
    header.type = PacketType::kBufferRequest;
    header.call = call;
    header.message_size = 1 << 20;
    SendRaw(lane, Packet(header));
    absl::StatusOr<std::optional<transport::ReceivedPacket>> answer = absl::UnknownError("");
    for (int i = 0; i < 100; ++i) {
      answer = transport::ReceivePacket(lane, buffer, transport::PacketDirection::kToClient,
                                        transport::Blocking::kWait);
      if (!answer.ok() || answer->has_value()) break;
    }
    ASSERT_OK(answer);
    ASSERT_TRUE(answer->has_value());
    ((*answer)->view.header.type == PacketType::kBuffer ? granted : refused)++;
  }
  EXPECT_LE(granted, 16);
  EXPECT_GT(refused, 0);
  EXPECT_TRUE(Echo());
}

TEST_F(HostileMemoryTest, FlagsThatDoNotGoTogetherEndTheChannel) {
  PacketHeader header = Request(kEcho, 1, 1 << 20);
  using transport::kFlagBulk;
  using transport::kFlagInKept;
  using transport::kFlagKept;
  for (const int flags : {int{kFlagInKept}, kFlagBulk | kFlagKept, kFlagBulk | kFlagInKept,
                          kFlagBulk | kFlagKept | kFlagInKept}) {
    header.flags = static_cast<uint8_t>(flags);
    ExpectEndsItsChannelOnly(Packet(header));
  }
  header = Request(kEcho, 1, 0);
  header.memory = 1;
  ExpectEndsItsChannelOnly(Packet(header));
}

TEST_F(HostileMemoryTest, RequestInKeptMemoryThatThereIsNotIsUnavailable) {
  PacketHeader header = Request(kEcho, 1, 1 << 20);
  header.flags = transport::kFlagKept | transport::kFlagInKept;
  for (const uint32_t number : {0u, 1u, 0xffffffffu}) {
    header.memory = number;
    ExpectAnswered(Packet(header), grpc::StatusCode::UNAVAILABLE);
  }
}

TEST_F(HostileMemoryTest, LendingMemoryThatThereIsNotIsAsGoodAsLendingNone) {
  v1::EchoRequest request;
  request.set_word("yes");
  const std::string message = request.SerializeAsString();
  PacketHeader header = Request(kEcho, 1, message.size());
  header.flags = transport::kFlagKept;
  for (const uint32_t number : {0u, 1u}) {
    header.memory = number;
    ExpectAnswered(Packet(header, message), grpc::StatusCode::OK);
  }
}

TEST_F(HostileMemoryTest, RequestLargerThanItsKeptMemoryIsInvalidArgument) {
  const UniqueFd lane = HostileLane();
  const UniqueFd memory = KeptMemory(lane);
  struct stat status = {};
  ASSERT_EQ(fstat(memory.get(), &status), 0);
  EXPECT_EQ(CallInKept(lane, static_cast<size_t>(status.st_size)),
            grpc::StatusCode::INVALID_ARGUMENT);
  Fill(memory);
  EXPECT_EQ(CallInKept(lane, large_.size()), grpc::StatusCode::OK);
}

TEST_F(HostileMemoryTest, KeptMemoryIsLentToOneCallAtATime) {
  const UniqueFd lane = HostileLane();
  const UniqueFd memory = KeptMemory(lane);
  v1::WaitRequest request;
  request.set_word("yes");
  request.set_milliseconds(300);
  const std::string message = request.SerializeAsString();
  PacketHeader wait = Request("/capbroker.testing.v1.Conformance/Wait", 7, message.size());
  wait.flags = transport::kFlagKept;
  wait.memory = number_;
  SendRaw(lane, Packet(wait, message));
  EXPECT_EQ(CallInKept(lane, large_.size()), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(NextPacket(lane).view.header.call, 7u);
  Fill(memory);
  EXPECT_EQ(CallInKept(lane, large_.size()), grpc::StatusCode::OK);
}

// INVARIANT(read-once)
TEST_F(HostileMemoryTest, RequestThatItsClientChangesMeanwhileHarmsNobody) {
  const UniqueFd lane = HostileLane();
  const UniqueFd memory = KeptMemory(lane);
  char* const bytes = static_cast<char*>(
      mmap(nullptr, large_.size(), PROT_READ | PROT_WRITE, MAP_SHARED, memory.get(), 0));
  ASSERT_NE(bytes, MAP_FAILED);
  std::atomic<bool> done{false};
  std::thread writer([&] {
    // The word, the length of what follows, and what is there.
    for (unsigned i = 1; !done.load(); i = i * 1'103'515'245 + 12'345) {
      const size_t at = (i >> 8) % (i % 4 == 0 ? large_.size() : 12);
      *static_cast<volatile char*>(bytes + at) =
          i % 3 == 0 ? static_cast<char>(i >> 16) : large_[at];
    }
  });
  for (int call = 0; call < 200; ++call) {
    const int status = CallInKept(lane, large_.size());
    EXPECT_TRUE(status == grpc::StatusCode::OK || status == grpc::StatusCode::INVALID_ARGUMENT ||
                status == grpc::StatusCode::PERMISSION_DENIED ||
                status == grpc::StatusCode::RESOURCE_EXHAUSTED ||
                status == grpc::StatusCode::UNAVAILABLE)
        << status;
  }
  done.store(true);
  writer.join();
  munmap(bytes, large_.size());
  EXPECT_TRUE(Echo());
}

TEST_F(HostileMemoryTest, KeptMemoryCannotBeMadeSmaller) {
  const UniqueFd lane = HostileLane();
  const UniqueFd memory = KeptMemory(lane);
  EXPECT_NE(ftruncate(memory.get(), 0), 0);
  // A hole in it reads as zeros.
  EXPECT_EQ(fallocate(memory.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 1 << 20), 0);
  EXPECT_EQ(CallInKept(lane, large_.size()), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_TRUE(Echo());
}

TEST_F(HostileMemoryTest, MemoryThatWasReplacedIsNotReadAnyMore) {
  const UniqueFd lane = HostileLane();
  const UniqueFd memory = KeptMemory(lane);
  const uint32_t replaced = number_;
  const UniqueFd other = KeptMemory(lane);
  Fill(other);
  EXPECT_NE(std::exchange(number_, replaced), replaced);
  EXPECT_EQ(CallInKept(lane, large_.size()), grpc::StatusCode::UNAVAILABLE);
}

// Who had the lane before may still have it mapped.
TEST_F(HostileMemoryTest, WhoAsksForMemoryGetsSuchAsNobodyHasHad) {
  const UniqueFd lane = HostileLane();
  const UniqueFd memory = KeptMemory(lane);
  const UniqueFd other = KeptMemory(lane);
  struct stat first = {};
  struct stat second = {};
  ASSERT_EQ(fstat(memory.get(), &first), 0);
  ASSERT_EQ(fstat(other.get(), &second), 0);
  EXPECT_NE(first.st_ino, second.st_ino);
}

// Emptying what is kept, at any moment, takes nothing from a client that is at it.
TEST(KeptMemoryOfALaneTest, IsEmptiedBetweenCallsOnly) {
  v1::ConformanceLimits limits;
  limits.add_words("yes");
  serving::LaneServerOptions options;
  options.kept.idle = absl::Microseconds(100);
  LocalFamily family(v1::CapbrokerMakeDispatch(std::make_unique<ConformanceService>()), limits,
                     options);
  const auto channel = std::make_shared<Channel>(family.TakeLane());
  const auto stub = NewStub<v1::Conformance>(channel);
  v1::EchoRequest request;
  request.set_word("yes");
  request.set_payload(std::string(1 << 20, 'x'));
  request.set_times(1);
  for (int call = 0; call < 200; ++call) {
    grpc::ClientContext context;
    v1::EchoResponse response;
    const grpc::Status status = stub->Echo(&context, request, &response);
    ASSERT_TRUE(status.ok()) << call << ": " << status.error_message();
    ASSERT_TRUE(response.payload() == request.payload()) << call;
  }
}

// A lane without limits, as the broker's own, keeps nothing.
TEST(KeptMemoryOfALaneTest, LaneThatKeepsNoMemoryReadsNoRequestFromIt) {
  const std::unique_ptr<serving::EventLoop> loop = serving::EventLoop::Create().value();
  serving::LaneServer server(loop.get(), {.max_threads = 1, .grow = false});
  const auto service = v1::CapbrokerMakeDispatch(std::make_unique<ConformanceService>());
  transport::LanePair lane = transport::MakeLane(transport::ClientDescriptors::kRefused).value();
  ASSERT_OK_AND_ASSIGN(
      const std::shared_ptr<serving::ServedLane> served,
      server.Serve(std::move(lane.service), serving::MethodTable::Build({service.get()}, nullptr),
                   nullptr, nullptr));
  PacketHeader request = Request(kEcho, 1, 1000);
  request.flags = transport::kFlagKept | transport::kFlagInKept;
  request.memory = 1;
  SendRaw(lane.client, Packet(request));
  served->OnReady(EPOLLIN);
  transport::ReceiveBuffer buffer;
  ASSERT_OK_AND_ASSIGN(
      const std::optional<transport::ReceivedPacket> answer,
      transport::ReceivePacket(lane.client, buffer, transport::PacketDirection::kToClient,
                               transport::Blocking::kDontWait));
  ASSERT_TRUE(answer.has_value());
  EXPECT_EQ(answer->view.header.status, static_cast<int>(grpc::StatusCode::UNAVAILABLE));
  served->Close();
}

}  // namespace
}  // namespace capbroker::testing
