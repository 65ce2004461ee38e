#include "serving/lane/lane_group.h"

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "base/status_matchers.h"
#include "base/unique_fd.h"
#include "gtest/gtest.h"
#include "serving/events/event_loop.h"
#include "transport/lane_socket.h"
#include "transport/packet.h"
#include "transport/shared_mailbox.h"

namespace capbroker::serving {
namespace {

using transport::PacketHeader;
using transport::PacketType;
using transport::SharedMailbox;

class FakeLane final : public GroupedLane {
 public:
  bool ServePut(const LaneGroup&, int slot, transport::ReceivedPacket request) override {
    if (!member) return false;
    served.push_back({slot, request.view.header.call});
    return true;
  }
  void Close() override { closed = true; }

  struct Served {
    int slot;
    uint64_t call;
  };
  bool member = true;
  std::vector<Served> served;
  bool closed = false;
};

class LaneGroupTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_OK_AND_ASSIGN(loop_, EventLoop::Create());
    groups_ = std::make_unique<LaneGroups>(loop_.get());
    joined_ = groups_->Join(lane_, "");
    ASSERT_NE(joined_.group, nullptr);
    ASSERT_OK_AND_ASSIGN(client_, SharedMailbox::Map(joined_.shared));
    client_->RouseService(client_->service_rests());
  }

  bool Put(int slot, uint32_t lane, uint64_t call, PacketType type = PacketType::kRequest) {
    PacketHeader header = {};
    header.type = type;
    header.call = call;
    return client_->PutRequest(slot, lane, {header, {}, {}, {}});
  }
  static transport::OutgoingPacket Answer(uint64_t call, absl::string_view message = {}) {
    PacketHeader header = {};
    header.type = PacketType::kResponse;
    header.call = call;
    return {header, {}, message, {}};
  }

  std::unique_ptr<EventLoop> loop_;
  std::unique_ptr<LaneGroups> groups_;
  std::shared_ptr<FakeLane> lane_ = std::make_shared<FakeLane>();
  LaneGroups::Joined joined_;
  std::unique_ptr<SharedMailbox> client_;
};

TEST_F(LaneGroupTest, ALaneJoinsByKeyWithoutTheMemory) {
  const auto second = std::make_shared<FakeLane>();
  const std::string wrong(transport::kJoinKeySize, 'x');
  const LaneGroups::Joined joined = groups_->Join(second, wrong + joined_.group->key());
  EXPECT_EQ(joined.group, joined_.group);
  EXPECT_NE(joined.lane, joined_.lane);
  EXPECT_FALSE(joined.shared.valid());
  ASSERT_TRUE(Put(0, joined.lane, 7));
  EXPECT_TRUE(joined_.group->Serve());
  EXPECT_TRUE(lane_->served.empty());
  ASSERT_EQ(second->served.size(), 1u);
  EXPECT_EQ(second->served[0].call, 7u);
}

TEST_F(LaneGroupTest, AWrongKeyGivesAGroupOfItsOwn) {
  for (const size_t differing : {size_t{0}, transport::kJoinKeySize - 1}) {
    std::string wrong = joined_.group->key();
    wrong[differing] ^= 1;
    const LaneGroups::Joined joined = groups_->Join(std::make_shared<FakeLane>(), wrong);
    ASSERT_NE(joined.group, nullptr);
    EXPECT_NE(joined.group, joined_.group);
    EXPECT_NE(joined.group->key(), joined_.group->key());
    EXPECT_TRUE(joined.shared.valid());
  }
}

TEST_F(LaneGroupTest, GroupsAreBoundedAndEndWithTheirLanes) {
  std::vector<std::shared_ptr<FakeLane>> lanes;
  std::vector<LaneGroups::Joined> joined;
  for (int i = 0; i < 1000; ++i) {
    lanes.push_back(std::make_shared<FakeLane>());
    LaneGroups::Joined own = groups_->Join(lanes.back(), "");
    if (own.group == nullptr) break;
    joined.push_back(std::move(own));
  }
  EXPECT_EQ(joined.size(), 63u);
  // Who has one is not refused.
  EXPECT_EQ(groups_->Join(lanes.back(), joined[0].group->key()).group, joined[0].group);
  groups_->Leave(joined[1].group, joined[1].lane);
  EXPECT_NE(groups_->Join(lanes.back(), "").group, nullptr);
  EXPECT_EQ(groups_->Join(lanes.back(), joined[1].group->key()).group, nullptr);
}

TEST_F(LaneGroupTest, WhatIsNoRequestEndsItsLane) {
  ASSERT_TRUE(Put(0, joined_.lane, 1, PacketType::kCancel));
  EXPECT_TRUE(joined_.group->Serve());
  EXPECT_TRUE(lane_->served.empty());
  EXPECT_TRUE(lane_->closed);
  EXPECT_TRUE(client_->IsLeft(0));
}

TEST_F(LaneGroupTest, ASlotHasOneCallAtATime) {
  ASSERT_TRUE(Put(0, joined_.lane, 1));
  EXPECT_TRUE(joined_.group->Serve());
  ASSERT_TRUE(Put(0, joined_.lane, 2));
  EXPECT_TRUE(joined_.group->Serve());
  EXPECT_EQ(lane_->served.size(), 1u);
  EXPECT_TRUE(lane_->closed);
}

TEST_F(LaneGroupTest, ARequestOfALaneThatHasLeftIsNotServed) {
  ASSERT_TRUE(Put(0, joined_.lane + 1, 1));
  EXPECT_TRUE(joined_.group->Serve());
  EXPECT_TRUE(client_->IsLeft(0));
  lane_->member = false;
  ASSERT_TRUE(Put(1, joined_.lane, 2));
  EXPECT_TRUE(joined_.group->Serve());
  EXPECT_TRUE(client_->IsLeft(1));
  const std::shared_ptr<LaneGroup> group = joined_.group;
  EXPECT_FALSE(group->Remove(joined_.lane));
  ASSERT_TRUE(Put(2, joined_.lane, 3));
  EXPECT_TRUE(group->Serve());
  EXPECT_TRUE(lane_->served.empty());
  EXPECT_FALSE(lane_->closed);
}

TEST_F(LaneGroupTest, AnAnswerGoesByTheMailboxIfItFitsAndTheClientLooks) {
  for (int slot = 0; slot < 3; ++slot) ASSERT_TRUE(Put(slot, joined_.lane, 1));
  EXPECT_TRUE(joined_.group->Serve());
  const LaneGroup::Answered resting = joined_.group->Answer(0, Answer(1));
  EXPECT_FALSE(resting.put);
  EXPECT_TRUE(client_->IsLeft(0));
  joined_.group->RouseClient(resting.client_rests);
  EXPECT_TRUE(joined_.group->Answer(1, Answer(1)).put);
  EXPECT_EQ(client_->TakeAnswer(), 1);
  const std::string large(SharedMailbox::kCapacity, 'x');
  EXPECT_FALSE(joined_.group->Answer(2, Answer(1, large)).put);
  EXPECT_TRUE(client_->IsLeft(2));
  // The slots are free for further calls.
  for (int slot = 0; slot < 3; ++slot) ASSERT_TRUE(Put(slot, joined_.lane, 2));
  EXPECT_TRUE(joined_.group->Serve());
  EXPECT_EQ(lane_->served.size(), 6u);
}

// INVARIANT(nobody-spins-for-a-stranger)
TEST_F(LaneGroupTest, ATurnIsBounded) {
  for (int slot = 0; slot < SharedMailbox::kSlots; ++slot) ASSERT_TRUE(Put(slot, joined_.lane, 1));
  EXPECT_TRUE(joined_.group->Serve());
  EXPECT_LT(lane_->served.size(), 100u);
}

// The packet that was to wake the loop for others may have been on the lane.
TEST_F(LaneGroupTest, ALaneThatLeavesWakesTheLoop) {
  const auto second = std::make_shared<FakeLane>();
  const LaneGroups::Joined joined = groups_->Join(second, joined_.group->key());
  ASSERT_FALSE(loop_->HasWork());
  groups_->Leave(joined.group, joined.lane);
  EXPECT_TRUE(loop_->HasWork());
}

}  // namespace
}  // namespace capbroker::serving
