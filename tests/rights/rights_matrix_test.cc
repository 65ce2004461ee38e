// Every kind of descriptor against every declaration of rights, in requests and in responses,
// by senders that check and by senders that do not.
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <iostream>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "base/status_matchers.h"
#include "gtest/gtest.h"
#include "serving/call.h"
#include "tests/conformance/local_family.h"
#include "tests/rights/rights.capbroker.h"
#include "tests/rights/rights.dispatch.h"
#include "tests/rights/specimens.h"
#include "transport/call_descriptors.h"
#include "transport/descriptor_rights.h"
#include "transport/grpc_status.h"
#include "transport/lane_socket.h"
#include "transport/packet.h"

namespace capbroker::testing {
namespace {

using ::google::protobuf::FieldDescriptor;
using transport::MethodId;
using transport::PacketType;

constexpr char kTake[] = "/capbroker.testing.v1.Rights/Take";
constexpr char kGive[] = "/capbroker.testing.v1.Rights/Give";
constexpr char kTalk[] = "/capbroker.testing.v1.Rights/Talk";

::capbroker::v1::Descriptor* Field(v1::Declared* declared, const FieldDescriptor* field) {
  return static_cast<::capbroker::v1::Descriptor*>(
      declared->GetReflection()->MutableMessage(declared, field));
}

// What a service sends next, and in which field.
struct Gift {
  UniqueFd fd;
  const FieldDescriptor* field = nullptr;
};

// From the test's thread to the service's.
class NextGift {
 public:
  void Put(Gift gift) {
    absl::MutexLock lock(&mutex_);
    gift_ = std::move(gift);
  }
  Gift Take() {
    absl::MutexLock lock(&mutex_);
    return std::exchange(gift_, Gift());
  }

 private:
  absl::Mutex mutex_;
  Gift gift_ ABSL_GUARDED_BY(mutex_);
};

class RightsService : public v1::Rights::Service {
 public:
  explicit RightsService(NextGift* next) : next_(*next) {}
  grpc::Status Take(grpc::ServerContext*, const v1::TakeRequest*, v1::TakeResponse*) override {
    return grpc::Status::OK;
  }
  grpc::Status Give(grpc::ServerContext* context, const v1::GiveRequest*,
                    v1::GiveResponse* response) override {
    Gift gift = next_.Take();
    return serving::Call::Of(context).Attach(std::move(gift.fd),
                                             Field(response->mutable_declared(), gift.field));
  }
  grpc::Status Talk(grpc::ServerContext*, const v1::TalkRequest*, v1::TalkResponse*) override {
    return grpc::Status::OK;
  }

 private:
  NextGift& next_;
};

// A service that sends whatever it is told to, with a message that names it.
class HostileService {
 public:
  HostileService() {
    transport::LanePair lane = transport::MakeLane(transport::ClientDescriptors::kAccepted).value();
    client_ = std::move(lane.client);
    thread_ = std::thread([this, lane = std::move(lane.service)] { Serve(lane); });
  }
  ~HostileService() { thread_.join(); }  // the client's end is closed by then
  UniqueFd TakeClientEnd() { return std::move(client_); }
  // Descriptors that came with requests.
  size_t taken() const { return taken_; }
  NextGift gift;

 private:
  void Serve(FdRef lane) {
    transport::ReceiveBuffer buffer;
    while (true) {
      auto packet = transport::ReceivePacket(lane, buffer, transport::PacketDirection::kToService,
                                             transport::Blocking::kWait);
      if (!packet.ok()) return;
      if (!packet->has_value()) continue;
      taken_ += (*packet)->descriptors.size();
      const uint64_t talk = MethodId(kTalk);
      v1::GiveResponse given;
      const Gift next = gift.Take();
      if (next.field != nullptr) Field(given.mutable_declared(), next.field)->set_slot(1);
      const std::string message =
          (*packet)->view.header.method == talk ? "" : given.SerializeAsString();
      const FdRef sent[] = {next.fd};
      transport::OutgoingPacket reply;
      reply.header.type = PacketType::kResponse;
      reply.header.call = (*packet)->view.header.call;
      reply.message = message;
      if (next.fd.valid()) reply.descriptors = sent;
      EXPECT_OK(transport::SendPacket(lane, reply).status);
    }
  }

  std::atomic<size_t> taken_{0};
  UniqueFd client_;
  std::thread thread_;
};

class RightsMatrixTest : public ::testing::Test {
 protected:
  RightsMatrixTest()
      : family_(v1::CapbrokerMakeDispatch(std::make_unique<RightsService>(&gift_)),
                v1::RightsLimits()),
        channel_(std::make_shared<Channel>(family_.TakeLane())),
        stub_(NewStub<v1::Rights>(channel_)),
        raw_((*channel_->Clone())->Release().value()),
        deceived_(std::make_shared<Channel>(hostile_.TakeClientEnd())),
        deceived_stub_(NewStub<v1::Rights>(deceived_)) {}
  ~RightsMatrixTest() override { deceived_->Close(); }

  // From a client that checks.
  static absl::Status Take(v1::Rights::StubInterface& stub, const FieldDescriptor* field,
                           UniqueFd fd) {
    grpc::ClientContext context;
    CallDescriptors descriptors(&context);
    v1::TakeRequest request;
    v1::TakeResponse response;
    descriptors.Attach(std::move(fd), Field(request.mutable_declared(), field));
    return FromGrpcStatus(stub.Take(&context, request, &response));
  }

  // From a client that does not: the code of the answer.
  grpc::StatusCode SendRaw(const char* method, const google::protobuf::Message& request, FdRef fd) {
    const std::string message = request.SerializeAsString();
    transport::OutgoingPacket packet;
    packet.header.type = PacketType::kRequest;
    packet.header.call = ++call_;
    packet.header.method = MethodId(method);
    packet.message = message;
    if (fd.valid()) packet.descriptors = absl::MakeSpan(&fd, 1);
    EXPECT_OK(transport::SendPacket(raw_, packet).status);
    absl::StatusOr<std::optional<transport::ReceivedPacket>> answer = std::nullopt;
    // A receive on a client's end gives up after a tick.
    while (answer.ok() && !answer->has_value()) {
      answer = transport::ReceivePacket(raw_, buffer_, transport::PacketDirection::kToClient,
                                        transport::Blocking::kWait);
    }
    if (!answer.ok()) return grpc::StatusCode::UNAVAILABLE;
    answered_ = (*answer)->descriptors.size();
    return static_cast<grpc::StatusCode>((*answer)->view.header.status);
  }
  grpc::StatusCode TakeRaw(const FieldDescriptor* field, FdRef fd) {
    v1::TakeRequest request;
    Field(request.mutable_declared(), field)->set_slot(1);
    return SendRaw(kTake, request, fd);
  }

  // From a service that checks, and from one that does not.
  static absl::Status Give(v1::Rights::StubInterface& stub, NextGift& next,
                           const FieldDescriptor* field, UniqueFd fd) {
    next.Put({std::move(fd), field});
    grpc::ClientContext context;
    CallDescriptors descriptors(&context);
    v1::GiveRequest request;
    v1::GiveResponse response;
    const absl::Status given = FromGrpcStatus(stub.Give(&context, request, &response));
    if (!given.ok()) return given;
    return descriptors.Take(*Field(response.mutable_declared(), field)).status();
  }

  NextGift gift_;
  LocalFamily family_;
  std::shared_ptr<Channel> channel_;
  std::unique_ptr<v1::Rights::StubInterface> stub_;
  UniqueFd raw_;
  uint64_t call_ = 0;
  size_t answered_ = 0;  // descriptors of the last answer to what was sent raw
  transport::ReceiveBuffer buffer_;
  HostileService hostile_;
  std::shared_ptr<Channel> deceived_;
  std::unique_ptr<v1::Rights::StubInterface> deceived_stub_;
};

// INVARIANT(no-descriptor-undeclared)
TEST_F(RightsMatrixTest, EveryKindAgainstEveryDeclarationBothWays) {
  int compared = 0;
  int accepted = 0;
  std::string missing;
  for (const Specimen& specimen : Specimens()) {
    if (!specimen.make().valid()) {
      absl::StrAppend(&missing, "\n  ", specimen.name);
      continue;
    }
    for (int i = 0; i < v1::Declared::descriptor()->field_count(); ++i) {
      const FieldDescriptor* const field = v1::Declared::descriptor()->field(i);
      SCOPED_TRACE(absl::StrCat(specimen.name, " as ", field->name()));
      const auto& rights = field->options().GetExtension(::capbroker::v1::rights);
      const bool reduced = IsDeclared(specimen, rights, /*reduced=*/true);
      const bool as_it_is = IsDeclared(specimen, rights, /*reduced=*/false);
      const UniqueFd fd = specimen.make();
      EXPECT_EQ(transport::CheckRights(fd, rights).ok(), as_it_is);
      const absl::StatusCode taken =
          reduced ? absl::StatusCode::kOk : absl::StatusCode::kInvalidArgument;
      EXPECT_EQ(Take(*stub_, field, specimen.make()).code(), taken);
      const size_t before = hostile_.taken();
      hostile_.gift.Put({});
      (void)Take(*deceived_stub_, field, specimen.make());
      EXPECT_EQ(hostile_.taken() - before, reduced ? 1u : 0u) << "sent to who does not check";
      EXPECT_EQ(TakeRaw(field, fd),
                as_it_is ? grpc::StatusCode::OK : grpc::StatusCode::INVALID_ARGUMENT);
      EXPECT_EQ(Give(*stub_, gift_, field, specimen.make()).code(),
                reduced ? absl::StatusCode::kOk : absl::StatusCode::kInternal);
      gift_.Put({specimen.make(), field});
      EXPECT_EQ(SendRaw(kGive, v1::GiveRequest(), FdRef()),
                reduced ? grpc::StatusCode::OK : grpc::StatusCode::INTERNAL);
      EXPECT_EQ(answered_, reduced ? 1u : 0u) << "sent to who does not check";
      EXPECT_EQ(Give(*deceived_stub_, hostile_.gift, field, specimen.make()).code(),
                as_it_is ? absl::StatusCode::kOk : absl::StatusCode::kInternal);
      compared += 7;
      accepted += as_it_is ? 1 : 0;
      if (HasFailure()) return;
    }
  }
  std::cout << compared << " answers, " << accepted
            << " declarations that are met; not here:" << missing << "\n";
  EXPECT_GT(accepted, 100);
}

TEST_F(RightsMatrixTest, AMessageWithoutDescriptorFieldsTakesNone) {
  for (const Specimen& specimen : Specimens()) {
    UniqueFd fd = specimen.make();
    if (!fd.valid()) continue;
    SCOPED_TRACE(specimen.name);
    v1::TalkRequest request;
    request.set_slot(1);
    EXPECT_EQ(SendRaw(kTalk, request, fd), grpc::StatusCode::INVALID_ARGUMENT);
    hostile_.gift.Put({std::move(fd), nullptr});
    grpc::ClientContext context;
    CallDescriptors descriptors(&context);
    v1::TalkResponse response;
    EXPECT_EQ(deceived_stub_->Talk(&context, request, &response).error_code(),
              grpc::StatusCode::INTERNAL);
  }
}

}  // namespace
}  // namespace capbroker::testing
