#include "serving/lane/lane_mailbox.h"

#include <memory>
#include <optional>
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
  bool Post(uint64_t call) {
    // A slot for each.
    return client_->Post(static_cast<int>(call), Packet(PacketType::kRequest, call),
                         Mailbox::Wait::kLooking);
  }
  void Close() {
    mailbox_.Close();
    mailbox_.Leave();
  }
  // What the thread that attends does with a request.
  void Take(uint64_t call) {
    ASSERT_TRUE(mailbox_.Look());
    ASSERT_OK_AND_ASSIGN(const std::optional<LaneMailbox::Posted> posted, mailbox_.Take(buffer_));
    ASSERT_TRUE(posted.has_value());
    EXPECT_EQ(posted->packet.view.header.call, call);
    EXPECT_TRUE(mailbox_.Begin(posted->slot, call));
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
  Close();
  WantMailbox(transport::kFlagWouldPost);
  UniqueFd memory;
  EXPECT_TRUE(mailbox_.Open(memory));
  EXPECT_FALSE(memory.valid());
  Close();
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
  EXPECT_FALSE(mailbox_.Answer(Packet(PacketType::kResponse, 2)));
  EXPECT_EQ(client_->LookForAnswer(1), Mailbox::Answer::kNone);
  EXPECT_TRUE(mailbox_.Answer(Packet(PacketType::kResponse, 1)));
  EXPECT_EQ(client_->LookForAnswer(1), Mailbox::Answer::kHere);
  EXPECT_FALSE(mailbox_.Answer(Packet(PacketType::kResponse, 1))) << "it is answered";
}

TEST_F(LaneMailboxTest, AnAnswerWithoutRoomIsAnnounced) {
  Open();
  ASSERT_TRUE(Post(1));
  Take(1);
  const std::string large(Mailbox::kCapacity, 'x');
  EXPECT_FALSE(mailbox_.Answer(Packet(PacketType::kResponse, 1, large)));
  EXPECT_EQ(client_->LookForAnswer(1), Mailbox::Answer::kOnLane);
  EXPECT_TRUE(Post(2));
}

TEST_F(LaneMailboxTest, TakesOneCallOfASlotAtATimeWhateverTheMemorySays) {
  Open();
  ASSERT_TRUE(Post(1));
  Take(1);
  EXPECT_FALSE(mailbox_.Begin(1, 2));
  EXPECT_TRUE(mailbox_.Begin(2, 2)) << "another slot";
}

TEST_F(LaneMailboxTest, AnAnswerAfterTheThreadHasGoneIsPutWhereItsCallWas) {
  Open();
  ASSERT_TRUE(Post(1));
  Take(1);
  Close();
  WantMailbox();
  UniqueFd memory;
  EXPECT_FALSE(mailbox_.Open(memory)) << "another mailbox, and a call of this one is not answered";
  WantMailbox(transport::kFlagWouldPost);
  EXPECT_TRUE(mailbox_.Open(memory));
  EXPECT_TRUE(mailbox_.Answer(Packet(PacketType::kResponse, 1)));
  EXPECT_EQ(client_->LookForAnswer(1), Mailbox::Answer::kHere);
  EXPECT_TRUE(Post(2));
}

TEST_F(LaneMailboxTest, WhoIsHeldUpKeepsOthersOutThoughItIsClosed) {
  Open();
  mailbox_.Close();
  WantMailbox(transport::kFlagWouldPost);
  UniqueFd memory;
  EXPECT_FALSE(mailbox_.Open(memory));
  mailbox_.Leave();
  EXPECT_TRUE(mailbox_.Open(memory));
}

TEST_F(LaneMailboxTest, RequestsThatCameLastAreServed) {
  Open();
  ASSERT_TRUE(Post(1));
  ASSERT_TRUE(Post(2));
  Close();
  EXPECT_FALSE(Post(3));
  Take(1);
  Take(2);
  EXPECT_TRUE(mailbox_.Answer(Packet(PacketType::kResponse, 1)));
  EXPECT_TRUE(mailbox_.Answer(Packet(PacketType::kResponse, 2)));
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
    ASSERT_TRUE(client_->Post(0, Packet(type, 1), Mailbox::Wait::kLooking));
    EXPECT_THAT(mailbox.Take(buffer_), StatusIs(absl::StatusCode::kInvalidArgument));
  }
}

TEST_F(LaneMailboxTest, TheEndOfTheLaneIsToldToTheServedAndToWhoWaits) {
  Open();
  ASSERT_TRUE(Post(1));
  Take(1);
  ASSERT_TRUE(Post(2));
  mailbox_.Abandon();
  EXPECT_EQ(client_->LookForAnswer(1), Mailbox::Answer::kOnLane);
  EXPECT_EQ(client_->LookForAnswer(2), Mailbox::Answer::kOnLane);
  EXPECT_FALSE(Post(3));
}

}  // namespace
}  // namespace capbroker::serving
