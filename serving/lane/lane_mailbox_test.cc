#include "serving/lane/lane_mailbox.h"

#include <memory>
#include <string>
#include <utility>

#include "absl/strings/string_view.h"
#include "base/status_matchers.h"
#include "base/unique_fd.h"
#include "gtest/gtest.h"
#include "transport/lane_socket.h"
#include "transport/mailbox.h"
#include "transport/packet.h"

namespace capbroker::serving {
namespace {

using ::capbroker::testing::StatusIs;
using transport::Mailbox;
using transport::OutgoingPacket;
using transport::PacketHeader;
using transport::PacketType;

OutgoingPacket Packet(PacketType type, uint64_t call, absl::string_view message = {}) {
  PacketHeader header = {};
  header.type = type;
  header.call = call;
  return {header, {}, message, {}};
}

class LaneMailboxTest : public ::testing::Test {
 protected:
  void WantMailbox(uint8_t flags = transport::kFlagWouldPost | transport::kFlagNoMailbox) {
    for (int request = 0; request < 64; ++request) mailbox_.NoteRequest(flags);
  }
  void Open() {
    WantMailbox();
    UniqueFd memory;
    ASSERT_TRUE(mailbox_.Open(memory));
    ASSERT_OK_AND_ASSIGN(client_, Mailbox::Map(memory));
  }
  bool Post(uint64_t call) { return client_->Post(Packet(PacketType::kRequest, call), false); }
  // What the thread that attends does with a request.
  void Take(uint64_t call) {
    ASSERT_TRUE(mailbox_.Look());
    ASSERT_OK_AND_ASSIGN(const transport::ReceivedPacket packet, mailbox_.Copy(buffer_));
    EXPECT_EQ(packet.view.header.call, call);
    EXPECT_TRUE(mailbox_.Begin(call));
  }

  LaneMailbox mailbox_;
  transport::ReceiveBuffer buffer_;
  std::unique_ptr<Mailbox> client_;
};

TEST_F(LaneMailboxTest, IsMadeForClientsThatWouldUseItAllTheTime) {
  UniqueFd memory;
  EXPECT_FALSE(mailbox_.Open(memory)) << "nobody has asked";
  WantMailbox();
  mailbox_.NoteRequest(0);
  EXPECT_FALSE(mailbox_.Open(memory)) << "the last request would not have been posted";
  WantMailbox();
  EXPECT_TRUE(mailbox_.Open(memory));
  EXPECT_TRUE(memory.valid());
}

TEST_F(LaneMailboxTest, IsMadeOnceForAClientThatHasIt) {
  Open();
  EXPECT_TRUE(mailbox_.Close());
  WantMailbox(transport::kFlagWouldPost);
  UniqueFd memory;
  EXPECT_TRUE(mailbox_.Open(memory));
  EXPECT_FALSE(memory.valid());
  EXPECT_TRUE(mailbox_.Close());
  // Somebody else has the lane, and is not to share a mailbox with who had it.
  WantMailbox();
  EXPECT_TRUE(mailbox_.Open(memory));
  EXPECT_TRUE(memory.valid());
  EXPECT_FALSE(Post(1));
}

TEST_F(LaneMailboxTest, HasOneThreadAtATime) {
  Open();
  WantMailbox(transport::kFlagWouldPost);
  UniqueFd memory;
  EXPECT_FALSE(mailbox_.Open(memory));
}

TEST_F(LaneMailboxTest, AnswersThePostedCallThereAndOthersByTheSocket) {
  Open();
  ASSERT_TRUE(Post(1));
  Take(1);
  EXPECT_FALSE(mailbox_.Answer(Packet(PacketType::kResponse, 2), false));
  EXPECT_EQ(client_->LookForAnswer(), Mailbox::Answer::kNone);
  EXPECT_TRUE(mailbox_.Answer(Packet(PacketType::kResponse, 1), false));
  EXPECT_EQ(client_->LookForAnswer(), Mailbox::Answer::kHere);
  EXPECT_FALSE(mailbox_.Answer(Packet(PacketType::kResponse, 1), false)) << "it is answered";
}

TEST_F(LaneMailboxTest, AnAnswerWithoutRoomIsAnnounced) {
  Open();
  ASSERT_TRUE(Post(1));
  Take(1);
  const std::string large(Mailbox::kCapacity, 'x');
  EXPECT_FALSE(mailbox_.Answer(Packet(PacketType::kResponse, 1, large), false));
  EXPECT_EQ(client_->LookForAnswer(), Mailbox::Answer::kOnLane);
  EXPECT_TRUE(Post(2));
}

TEST_F(LaneMailboxTest, TakesOneCallAtATimeWhateverThePageSays) {
  Open();
  ASSERT_TRUE(Post(1));
  Take(1);
  EXPECT_FALSE(mailbox_.Begin(2));
}

TEST_F(LaneMailboxTest, AnAnswerAfterTheThreadHasGoneClosesIt) {
  Open();
  ASSERT_TRUE(Post(1));
  Take(1);
  EXPECT_TRUE(mailbox_.Close());
  WantMailbox(transport::kFlagWouldPost);
  UniqueFd memory;
  EXPECT_FALSE(mailbox_.Open(memory)) << "a call is not answered";
  EXPECT_TRUE(mailbox_.Answer(Packet(PacketType::kResponse, 1), false));
  EXPECT_EQ(client_->LookForAnswer(), Mailbox::Answer::kHere);
  EXPECT_FALSE(Post(2));
}

TEST_F(LaneMailboxTest, ARequestThatComesLastIsServed) {
  Open();
  ASSERT_TRUE(Post(1));
  EXPECT_FALSE(mailbox_.Close());
  Take(1);
  EXPECT_TRUE(mailbox_.Answer(Packet(PacketType::kResponse, 1), false));
  EXPECT_FALSE(Post(2));
}

TEST_F(LaneMailboxTest, TakesNothingButRequests) {
  for (const PacketType type :
       {PacketType::kCancel, PacketType::kBufferRequest, PacketType::kResponse}) {
    LaneMailbox mailbox;
    for (int request = 0; request < 64; ++request) {
      mailbox.NoteRequest(transport::kFlagWouldPost | transport::kFlagNoMailbox);
    }
    UniqueFd memory;
    ASSERT_TRUE(mailbox.Open(memory));
    ASSERT_OK_AND_ASSIGN(client_, Mailbox::Map(memory));
    ASSERT_TRUE(client_->Post(Packet(type, 1), false));
    EXPECT_THAT(mailbox.Copy(buffer_), StatusIs(absl::StatusCode::kInvalidArgument));
  }
}

TEST_F(LaneMailboxTest, TheEndOfTheLaneIsTold) {
  Open();
  ASSERT_TRUE(Post(1));
  Take(1);
  mailbox_.Abandon();
  EXPECT_EQ(client_->LookForAnswer(), Mailbox::Answer::kOnLane);
  EXPECT_FALSE(Post(2));
}

}  // namespace
}  // namespace capbroker::serving
