// What no honest client sends, on a lane that another client uses at the same
// time: the channel ends or the call fails, nothing crashes, no descriptor leaks,
// and no other channel notices.
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/time/time.h"
#include "base/status_matchers.h"
#include "serving/event_loop.h"
#include "serving/lane_server.h"
#include "serving/method_table.h"
#include "serving/served_lane.h"
#include "tests/conformance/conformance.capbroker.h"
#include "tests/conformance/conformance.dispatch.h"
#include "tests/conformance/conformance_service.h"
#include "tests/conformance/local_family.h"
#include "transport/call_descriptors.h"
#include "transport/lane_socket.h"
#include "transport/packet.h"

namespace capbroker::testing {
namespace {

using transport::PacketHeader;
using transport::PacketType;

int OpenDescriptors() {
  int count = 0;
  DIR* directory = opendir("/proc/self/fd");
  while (readdir(directory) != nullptr) ++count;
  closedir(directory);
  return count;
}

// The service closes what is left of a call just after it has answered.
void ExpectDescriptorsAgain(int before) {
  for (int i = 0; i < 200 && OpenDescriptors() > before; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  EXPECT_LE(OpenDescriptors(), before);
}

PacketHeader Request(const char* method, uint64_t call, size_t message_size) {
  PacketHeader header = {};
  header.magic = transport::kPacketMagic;
  header.type = PacketType::kRequest;
  header.call = call;
  header.method = transport::MethodId(method);
  header.message_size = static_cast<uint32_t>(message_size);
  return header;
}

constexpr char kEcho[] = "/capbroker.testing.v1.Conformance/Echo";
constexpr char kExchange[] = "/capbroker.testing.v1.Conformance/Exchange";

std::string Packet(const PacketHeader& header, const std::string& body = "") {
  return std::string(reinterpret_cast<const char*>(&header), sizeof header) + body;
}

void SendRaw(FdRef lane, const std::string& bytes, const std::vector<int>& descriptors = {}) {
  iovec part = {const_cast<char*>(bytes.data()), bytes.size()};
  msghdr message = {};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  std::vector<char> control(CMSG_SPACE(sizeof(int) * std::max<size_t>(descriptors.size(), 1)));
  if (!descriptors.empty()) {
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    cmsghdr* c = CMSG_FIRSTHDR(&message);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof(int) * descriptors.size());
    std::memcpy(CMSG_DATA(c), descriptors.data(), sizeof(int) * descriptors.size());
  }
  ASSERT_EQ(sendmsg(lane.get(), &message, MSG_NOSIGNAL), static_cast<ssize_t>(bytes.size()));
}

// Whether the lane's service end is closed, within a second.
bool Closed(FdRef lane) {
  char byte;
  for (int i = 0; i < 100; ++i) {
    pollfd p = {lane.get(), POLLIN | POLLRDHUP, 0};
    if (poll(&p, 1, 10) > 0 && (p.revents & (POLLRDHUP | POLLHUP)) != 0) return true;
    recv(lane.get(), &byte, 1, MSG_DONTWAIT);
  }
  return false;
}

class HostileLaneTest : public ::testing::Test {
 protected:
  HostileLaneTest() {
    v1::ConformanceLimits limits;
    limits.add_words("yes");
    family_ = std::make_unique<LocalFamily>(
        v1::CapbrokerMakeDispatch(std::make_unique<ConformanceService>()), limits);
    honest_ = std::make_shared<Channel>(family_->TakeLane());
    stub_ = NewStub<v1::Conformance>(honest_);
    EXPECT_TRUE(Echo());
  }

  // A lane of the hostile client's own, of the same family.
  UniqueFd HostileLane() {
    absl::StatusOr<std::shared_ptr<Channel>> clone = honest_->Clone();
    // The place of one that was closed is free when the service has seen it.
    for (int i = 0; i < 2000 && absl::IsResourceExhausted(clone.status()); ++i) {
      usleep(5000);
      clone = honest_->Clone();
    }
    EXPECT_OK(clone);
    absl::StatusOr<UniqueFd> lane = (*clone)->Release();
    EXPECT_OK(lane);
    return *std::move(lane);
  }

  bool Echo() {
    grpc::ClientContext context;
    v1::EchoRequest request;
    request.set_word("yes");
    v1::EchoResponse response;
    return stub_->Echo(&context, request, &response).ok();
  }

  void ExpectEndsItsChannelOnly(const std::string& bytes,
                                const std::vector<int>& descriptors = {}) {
    const int before = OpenDescriptors();
    {
      const UniqueFd lane = HostileLane();
      SendRaw(lane, bytes, descriptors);
      EXPECT_TRUE(Closed(lane));
    }
    EXPECT_TRUE(Echo());
    ExpectDescriptorsAgain(before);
  }

  // The status of the answer to a packet that ends its call and not its channel.
  void ExpectAnswered(const std::string& bytes, grpc::StatusCode code,
                      const std::vector<int>& descriptors = {}) {
    const UniqueFd lane = HostileLane();
    SendRaw(lane, bytes, descriptors);
    EXPECT_EQ(NextPacket(lane).view.header.status, static_cast<int>(code));
    EXPECT_TRUE(Echo());
  }

  // What comes next. Its views point into the fixture.
  transport::ReceivedPacket NextPacket(FdRef lane) {
    absl::StatusOr<std::optional<transport::ReceivedPacket>> answer = std::nullopt;
    for (int i = 0; i < 500 && answer.ok() && !answer->has_value(); ++i) {
      answer = transport::ReceivePacket(lane, buffer_, transport::PacketDirection::kToClient,
                                        transport::Blocking::kWait);
    }
    EXPECT_OK(answer);
    if (!answer.ok() || !answer->has_value()) return {};
    return **std::move(answer);
  }

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
  transport::ReceiveBuffer buffer_;
  uint32_t number_ = 1;  // of the kept memory
  uint64_t call_ = 100;

  std::unique_ptr<LocalFamily> family_;
  std::shared_ptr<Channel> honest_;
  std::unique_ptr<v1::Conformance::StubInterface> stub_;
};

TEST_F(HostileLaneTest, ShortPacketEndsItsChannel) { ExpectEndsItsChannelOnly("short"); }

TEST_F(HostileLaneTest, EmptyPacketEndsItsChannel) { ExpectEndsItsChannelOnly(""); }

TEST_F(HostileLaneTest, OversizedPacketEndsItsChannel) {
  ExpectEndsItsChannelOnly(std::string(transport::kMaxPacketSize + 100, 'x'));
}

TEST_F(HostileLaneTest, UnknownHeaderEndsItsChannel) {
  PacketHeader header = Request(kEcho, 1, 0);
  header.magic = 0;
  ExpectEndsItsChannelOnly(Packet(header));
}

TEST_F(HostileLaneTest, PacketOfAServiceEndsItsChannel) {
  for (const PacketType type : {PacketType::kResponse, PacketType::kBuffer, PacketType::kEpoch,
                                static_cast<PacketType>(0), static_cast<PacketType>(255)}) {
    PacketHeader header = Request(kEcho, 1, 0);
    header.type = type;
    ExpectEndsItsChannelOnly(Packet(header));
  }
}

TEST_F(HostileLaneTest, ImpossibleLengthsEndTheChannel) {
  PacketHeader header = Request(kEcho, 1, 0xffffffff);
  ExpectEndsItsChannelOnly(Packet(header));
  header = Request(kEcho, 1, 10);
  ExpectEndsItsChannelOnly(Packet(header, "12345"));
  header = Request(kEcho, 1, 0);
  header.metadata_size = 0xfffffff0;
  ExpectEndsItsChannelOnly(Packet(header));
  header = Request(kEcho, 1, 0);
  ExpectEndsItsChannelOnly(Packet(header, "more than the header says"));
}

TEST_F(HostileLaneTest, UnknownFlagEndsItsChannel) {
  PacketHeader header = Request(kEcho, 1, 0);
  header.flags = 0x80;
  ExpectEndsItsChannelOnly(Packet(header));
  // One that only a service may send.
  header.flags = transport::kFlagAwake;
  ExpectEndsItsChannelOnly(Packet(header));
}

TEST_F(HostileLaneTest, DescriptorsThatTheHeaderDoesNotCountEndTheChannel) {
  const UniqueFd file(open("/dev/null", O_RDWR | O_CLOEXEC));
  ExpectEndsItsChannelOnly(Packet(Request(kEcho, 1, 0)), {file.get()});
  PacketHeader header = Request(kEcho, 1, 0);
  header.descriptor_count = 1;
  ExpectEndsItsChannelOnly(Packet(header));
}

TEST_F(HostileLaneTest, MoreDescriptorsThanAPacketMayHaveEndTheChannel) {
  const UniqueFd file(open("/dev/null", O_RDWR | O_CLOEXEC));
  PacketHeader header = Request(kExchange, 1, 0);
  header.descriptor_count = 60;
  ExpectEndsItsChannelOnly(Packet(header), std::vector<int>(60, file.get()));
}

TEST_F(HostileLaneTest, UnknownMethodIsUnimplemented) {
  ExpectAnswered(Packet(Request("/no.such.Service/Method", 1, 0)), grpc::StatusCode::UNIMPLEMENTED);
}

TEST_F(HostileLaneTest, StreamingMethodOnTheLaneIsUnimplemented) {
  ExpectAnswered(Packet(Request("/capbroker.testing.v1.Conformance/Chat", 1, 0)),
                 grpc::StatusCode::UNIMPLEMENTED);
}

TEST_F(HostileLaneTest, MalformedMessageIsInvalidArgument) {
  const std::string garbage = "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff";
  ExpectAnswered(Packet(Request(kEcho, 1, garbage.size()), garbage),
                 grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_F(HostileLaneTest, MalformedMetadataIsInvalidArgument) {
  PacketHeader header = Request(kEcho, 1, 0);
  header.metadata_size = 4;
  ExpectAnswered(Packet(header, "\xff\xff\xff\xff"), grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_F(HostileLaneTest, UndeclaredDescriptorIsInvalidArgument) {
  const UniqueFd file(open("/dev/null", O_RDWR | O_CLOEXEC));
  PacketHeader header = Request(kEcho, 1, 0);
  header.descriptor_count = 1;
  ExpectAnswered(Packet(header), grpc::StatusCode::INVALID_ARGUMENT, {file.get()});
}

TEST_F(HostileLaneTest, DescriptorOfAnotherKindThanDeclaredIsInvalidArgument) {
  const UniqueFd directory(open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  v1::ExchangeRequest request;
  request.set_word("yes");
  request.mutable_memory()->set_slot(1);
  const std::string message = request.SerializeAsString();
  PacketHeader header = Request(kExchange, 1, message.size());
  header.descriptor_count = 1;
  ExpectAnswered(Packet(header, message), grpc::StatusCode::INVALID_ARGUMENT, {directory.get()});
}

TEST_F(HostileLaneTest, DescriptorThatNoFieldNamesIsInvalidArgument) {
  const UniqueFd memory(memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  v1::ExchangeRequest request;
  request.set_word("yes");
  request.mutable_memory()->set_slot(1);
  const std::string message = request.SerializeAsString();
  PacketHeader header = Request(kExchange, 1, message.size());
  header.descriptor_count = 2;
  ExpectAnswered(Packet(header, message), grpc::StatusCode::INVALID_ARGUMENT,
                 {memory.get(), memory.get()});
}

TEST_F(HostileLaneTest, SlotsThatDoNotExistAreInvalidArgument) {
  v1::ExchangeRequest request;
  request.set_word("yes");
  for (const uint32_t slot : {1u, 2u, 0xffffffffu}) {
    request.mutable_memory()->set_slot(slot);
    const std::string message = request.SerializeAsString();
    ExpectAnswered(Packet(Request(kExchange, 1, message.size()), message),
                   grpc::StatusCode::INVALID_ARGUMENT);
  }
}

TEST_F(HostileLaneTest, BulkRequestWithoutItsBufferIsInvalidArgument) {
  PacketHeader header = Request(kEcho, 1, 1 << 20);
  header.flags = transport::kFlagBulk;
  ExpectAnswered(Packet(header), grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_F(HostileLaneTest, BufferLargerThanAnyMethodTakesIsResourceExhausted) {
  PacketHeader header = {};
  header.magic = transport::kPacketMagic;
  header.type = PacketType::kBufferRequest;
  header.call = 1;
  header.message_size = 0;
  ExpectAnswered(Packet(header), grpc::StatusCode::RESOURCE_EXHAUSTED);
}

TEST_F(HostileLaneTest, HoardedBuffersAreBounded) {
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

TEST_F(HostileLaneTest, FlagsThatDoNotGoTogetherEndTheChannel) {
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

TEST_F(HostileLaneTest, RequestInKeptMemoryThatThereIsNotIsUnavailable) {
  PacketHeader header = Request(kEcho, 1, 1 << 20);
  header.flags = transport::kFlagKept | transport::kFlagInKept;
  for (const uint32_t number : {0u, 1u, 0xffffffffu}) {
    header.memory = number;
    ExpectAnswered(Packet(header), grpc::StatusCode::UNAVAILABLE);
  }
}

TEST_F(HostileLaneTest, LendingMemoryThatThereIsNotIsAsGoodAsLendingNone) {
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

TEST_F(HostileLaneTest, RequestLargerThanItsKeptMemoryIsInvalidArgument) {
  const UniqueFd lane = HostileLane();
  const UniqueFd memory = KeptMemory(lane);
  struct stat status = {};
  ASSERT_EQ(fstat(memory.get(), &status), 0);
  EXPECT_EQ(CallInKept(lane, static_cast<size_t>(status.st_size)),
            grpc::StatusCode::INVALID_ARGUMENT);
  Fill(memory);
  EXPECT_EQ(CallInKept(lane, large_.size()), grpc::StatusCode::OK);
}

TEST_F(HostileLaneTest, KeptMemoryIsLentToOneCallAtATime) {
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
TEST_F(HostileLaneTest, RequestThatItsClientChangesMeanwhileHarmsNobody) {
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

TEST_F(HostileLaneTest, KeptMemoryCannotBeMadeSmaller) {
  const UniqueFd lane = HostileLane();
  const UniqueFd memory = KeptMemory(lane);
  EXPECT_NE(ftruncate(memory.get(), 0), 0);
  // A hole in it reads as zeros.
  EXPECT_EQ(fallocate(memory.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 1 << 20), 0);
  EXPECT_EQ(CallInKept(lane, large_.size()), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_TRUE(Echo());
}

TEST_F(HostileLaneTest, MemoryThatWasReplacedIsNotReadAnyMore) {
  const UniqueFd lane = HostileLane();
  const UniqueFd memory = KeptMemory(lane);
  const uint32_t replaced = number_;
  const UniqueFd other = KeptMemory(lane);
  Fill(other);
  EXPECT_NE(std::exchange(number_, replaced), replaced);
  EXPECT_EQ(CallInKept(lane, large_.size()), grpc::StatusCode::UNAVAILABLE);
}

// Who had the lane before may still have it mapped.
TEST_F(HostileLaneTest, WhoAsksForMemoryGetsSuchAsNobodyHasHad) {
  const UniqueFd lane = HostileLane();
  const UniqueFd memory = KeptMemory(lane);
  const UniqueFd other = KeptMemory(lane);
  struct stat first = {};
  struct stat second = {};
  ASSERT_EQ(fstat(memory.get(), &first), 0);
  ASSERT_EQ(fstat(other.get(), &second), 0);
  EXPECT_NE(first.st_ino, second.st_ino);
}

TEST_F(HostileLaneTest, ClientThatAsksAndNeverReadsIsCutOff) {
  const UniqueFd lane = HostileLane();
  v1::EchoRequest request;
  request.set_word("yes");
  request.set_payload(std::string(32'000, 'x'));
  request.set_times(2);
  const std::string message = request.SerializeAsString();
  bool closed = false;
  for (uint64_t call = 1; call <= 2000 && !closed; ++call) {
    const std::string bytes = Packet(Request(kEcho, call, message.size()), message);
    while (send(lane.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
      if (errno != EAGAIN) {
        closed = true;
        break;
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  }
  EXPECT_TRUE(closed);
  EXPECT_TRUE(Echo());
}

TEST_F(HostileLaneTest, CallIdInUseIsInvalidArgument) {
  const UniqueFd lane = HostileLane();
  v1::WaitRequest request;
  request.set_word("yes");
  request.set_milliseconds(300);
  const std::string message = request.SerializeAsString();
  const std::string bytes =
      Packet(Request("/capbroker.testing.v1.Conformance/Wait", 7, message.size()), message);
  SendRaw(lane, bytes);
  std::this_thread::sleep_for(std::chrono::milliseconds(30));
  SendRaw(lane, bytes);
  transport::ReceiveBuffer buffer;
  std::vector<int> codes;
  while (codes.size() < 2) {
    auto answer = transport::ReceivePacket(lane, buffer, transport::PacketDirection::kToClient,
                                           transport::Blocking::kWait);
    ASSERT_OK(answer);
    if (answer->has_value()) codes.push_back((*answer)->view.header.status);
  }
  EXPECT_EQ(codes[0], grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(codes[1], grpc::StatusCode::OK);
}

TEST_F(HostileLaneTest, RandomPacketsNeverHarmAnother) {
  std::srand(1);
  for (int round = 0; round < 300; ++round) {
    const UniqueFd lane = HostileLane();
    PacketHeader header = Request(kEcho, 1, static_cast<size_t>(std::rand()) % 64);
    std::string bytes = Packet(header, std::string(header.message_size, '\x0a'));
    for (int i = 0; i < 4; ++i) {
      bytes[static_cast<size_t>(std::rand()) % bytes.size()] = static_cast<char>(std::rand());
    }
    SendRaw(lane, bytes);
    if (round % 50 == 0) {
      ASSERT_TRUE(Echo());
    }
  }
  EXPECT_TRUE(Echo());
}

// What a faulty handler sends is stopped before it leaves the service process.

class DescriptorTest : public HostileLaneTest {
 protected:
  grpc::Status Exchange(const std::string& fault, UniqueFd memory, UniqueFd* received) {
    grpc::ClientContext context;
    CallDescriptors descriptors(&context);
    v1::ExchangeRequest request;
    request.set_word("yes");
    request.set_fault(fault);
    if (memory.valid()) descriptors.Attach(std::move(memory), request.mutable_memory());
    v1::ExchangeResponse response;
    const grpc::Status status = stub_->Exchange(&context, request, &response);
    if (status.ok()) {
      absl::StatusOr<UniqueFd> taken = descriptors.Take(response.file());
      if (taken.ok()) *received = *std::move(taken);
    }
    return status;
  }
};

TEST_F(DescriptorTest, TravelBothWays) {
  UniqueFd memory(memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  ASSERT_EQ(write(memory.get(), "content", 7), 7);
  UniqueFd received;
  const grpc::Status status = Exchange("", std::move(memory), &received);
  ASSERT_TRUE(status.ok()) << status.error_message();
  char bytes[8] = {};
  EXPECT_EQ(pread(received.get(), bytes, 7, 0), 7);
  EXPECT_STREQ(bytes, "content");
  EXPECT_EQ(fcntl(received.get(), F_GETFD), FD_CLOEXEC);
}

TEST_F(DescriptorTest, NotTakenIsClosedWithTheCall) {
  const int before = OpenDescriptors();
  for (int i = 0; i < 50; ++i) {
    grpc::ClientContext context;
    v1::ExchangeRequest request;
    request.set_word("yes");
    v1::ExchangeResponse response;
    ASSERT_TRUE(stub_->Exchange(&context, request, &response).ok());
  }
  ExpectDescriptorsAgain(before);
}

TEST_F(DescriptorTest, OfAnUndeclaredKindNeverLeavesTheService) {
  for (const char* fault : {"directory", "write-only", "undeclared"}) {
    const int before = OpenDescriptors();
    UniqueFd received;
    EXPECT_EQ(Exchange(fault, UniqueFd(), &received).error_code(), grpc::StatusCode::INTERNAL)
        << fault;
    EXPECT_FALSE(received.valid());
    ExpectDescriptorsAgain(before);
  }
}

TEST_F(DescriptorTest, UndeclaredOfTheCallersOwnIsNotSent) {
  UniqueFd received;
  EXPECT_EQ(Exchange("", UniqueFd(open("/dev/null", O_RDWR | O_CLOEXEC)), &received).error_code(),
            grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_F(DescriptorTest, AreRefusedOnTheWire) {
  std::unique_ptr<v1::Conformance::StubInterface> wire =
      v1::Conformance::NewStub(honest_->GrpcOrFailing());
  grpc::ClientContext context;
  v1::ExchangeRequest request;
  request.set_word("yes");
  v1::ExchangeResponse response;
  EXPECT_EQ(wire->Exchange(&context, request, &response).error_code(),
            grpc::StatusCode::FAILED_PRECONDITION);
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
TEST(HostileLaneTurnTest, LaneThatKeepsNoMemoryReadsNoRequestFromIt) {
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

// INVARIANT(nobody-spins-for-a-stranger): a turn has an end, whatever the client sends meanwhile.
TEST(HostileLaneTurnTest, LaneWithManyPacketsLeavesSomeForItsNextTurn) {
  const std::unique_ptr<serving::EventLoop> loop = serving::EventLoop::Create().value();
  serving::LaneServer server(loop.get(), {.max_threads = 1, .grow = false});
  const auto service = v1::CapbrokerMakeDispatch(std::make_unique<ConformanceService>());
  transport::LanePair lane = transport::MakeLane(transport::ClientDescriptors::kRefused).value();
  ASSERT_OK_AND_ASSIGN(
      const std::shared_ptr<serving::ServedLane> served,
      server.Serve(std::move(lane.service), serving::MethodTable::Build({service.get()}, nullptr),
                   nullptr, nullptr));
  PacketHeader cancel = {};
  cancel.magic = transport::kPacketMagic;
  cancel.type = PacketType::kCancel;
  for (int i = 0; i < 40; ++i) SendRaw(lane.client, Packet(cancel));
  int turns = 0;
  while (served->OnReady(EPOLLIN) == serving::Left::kMaybeMore) ++turns;
  EXPECT_GE(turns, 2);
  served->Close();
}

// Descriptors of this user on their way to nobody who reads, while it lives.
class DescriptorsOnTheirWay {
 public:
  explicit DescriptorsOnTheirWay(int count) {
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends_), 0);
    const std::vector<int> ten(10, 0);
    for (int i = 0; i < count; i += 10) SendRaw(FdRef::FromRaw(ends_[0]), "x", ten);
  }
  ~DescriptorsOnTheirWay() {
    close(ends_[0]);
    close(ends_[1]);
  }

 private:
  int ends_[2];
};

// INVARIANT(no-hang)
TEST_F(HostileLaneTest, AnswerThatTheKernelDoesNotSendFailsItsCall) {
  rlimit before;
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  {
    const DescriptorsOnTheirWay flood(300);
    const rlimit few = {200, before.rlim_max};
    ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &few), 0);
    const absl::Status cloned = honest_->Clone().status();
    ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
    if (cloned.ok()) GTEST_SKIP() << "the kernel lets this user send any number of descriptors";
    EXPECT_THAT(cloned, StatusIs(absl::StatusCode::kResourceExhausted));
    EXPECT_TRUE(Echo());
  }
  EXPECT_OK(honest_->Clone());
}

}  // namespace
}  // namespace capbroker::testing
