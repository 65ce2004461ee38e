// What no honest client sends, on a lane that another client uses at the same
// time: the channel ends or the call fails, nothing crashes, no descriptor leaks,
// and no other channel notices.
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/status_matchers.h"
#include "serving/events/event_loop.h"
#include "serving/lane/lane_server.h"
#include "serving/lane/method_table.h"
#include "serving/lane/served_lane.h"
#include "tests/conformance/conformance.capbroker.h"
#include "tests/conformance/conformance.dispatch.h"
#include "tests/conformance/conformance_service.h"
#include "tests/conformance/hostile_lane_fixture.h"
#include "tests/conformance/local_family.h"
#include "transport/call_descriptors.h"
#include "transport/lane_socket.h"
#include "transport/packet.h"

namespace capbroker::testing {
namespace {

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
