// A family with an honest client, and lanes of a hostile one beside it.
//
// Lives in: test programs.
#ifndef TESTS_CONFORMANCE_HOSTILE_LANE_FIXTURE_H_
#define TESTS_CONFORMANCE_HOSTILE_LANE_FIXTURE_H_

#include <dirent.h>
#include <grpcpp/client_context.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/status_matchers.h"
#include "base/unique_fd.h"
#include "gtest/gtest.h"
#include "tests/conformance/conformance.capbroker.h"
#include "tests/conformance/conformance.dispatch.h"
#include "tests/conformance/conformance_service.h"
#include "tests/conformance/local_family.h"
#include "tests/conformance/raw_packets.h"
#include "transport/channel.h"
#include "transport/lane_socket.h"
#include "transport/packet.h"
#include "transport/stub.h"

namespace capbroker::testing {

inline constexpr char kEcho[] = "/capbroker.testing.v1.Conformance/Echo";
inline constexpr char kExchange[] = "/capbroker.testing.v1.Conformance/Exchange";

inline int OpenDescriptors() {
  int count = 0;
  DIR* directory = opendir("/proc/self/fd");
  while (readdir(directory) != nullptr) ++count;
  closedir(directory);
  return count;
}

// The service closes what is left of a call just after it has answered.
inline void ExpectDescriptorsAgain(int before) {
  for (int i = 0; i < 2000 && OpenDescriptors() > before; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  EXPECT_LE(OpenDescriptors(), before);
}

inline void SendRaw(FdRef lane, const std::string& bytes,
                    const std::vector<int>& descriptors = {}) {
  ASSERT_EQ(SendBytes(lane, bytes, descriptors), static_cast<ssize_t>(bytes.size()));
}

// Whether the lane's service end is closed, within a second.
inline bool Closed(FdRef lane) {
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
  explicit HostileLaneTest(
      std::unique_ptr<v1::Conformance::Service> service = std::make_unique<ConformanceService>()) {
    v1::ConformanceLimits limits;
    limits.add_words("yes");
    family_ = std::make_unique<LocalFamily>(v1::CapbrokerMakeDispatch(std::move(service)), limits);
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

  transport::ReceiveBuffer buffer_;

  std::unique_ptr<LocalFamily> family_;
  std::shared_ptr<Channel> honest_;
  std::unique_ptr<v1::Conformance::StubInterface> stub_;
};

}  // namespace capbroker::testing

#endif  // TESTS_CONFORMANCE_HOSTILE_LANE_FIXTURE_H_
