#include "base/descriptor_packet.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "gtest/gtest.h"

namespace capbroker {
namespace {

class DescriptorPacketTest : public ::testing::Test {
 protected:
  void SetUp() override {
    int ends[2];
    ASSERT_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    one_.Reset(ends[0]);
    other_.Reset(ends[1]);
  }
  static int LowestFree() {
    const UniqueFd fd(open("/dev/null", O_RDONLY | O_CLOEXEC));
    return fd.get();
  }

  UniqueFd one_, other_;
};

TEST_F(DescriptorPacketTest, CarriesBytesAndDescriptors) {
  int number = 7;
  ASSERT_TRUE(SendDescriptorPacket(one_, &number, sizeof number, {one_, FdRef(), other_}));
  number = 0;
  PacketDescriptors descriptors;
  ASSERT_EQ(ReceiveDescriptorPacket(other_, &number, sizeof number, descriptors),
            static_cast<ssize_t>(sizeof number));
  EXPECT_EQ(number, 7);
  for (const UniqueFd& descriptor : descriptors) {
    ASSERT_TRUE(descriptor.valid());
    EXPECT_EQ(fcntl(descriptor.get(), F_GETFD), FD_CLOEXEC);
  }
}

TEST_F(DescriptorPacketTest, CarriesBytesAlone) {
  ASSERT_TRUE(SendDescriptorPacket(one_, "x", 1, {}));
  char byte = 0;
  PacketDescriptors descriptors;
  EXPECT_EQ(ReceiveDescriptorPacket(other_, &byte, 1, descriptors), 1);
  EXPECT_FALSE(descriptors[0].valid());
}

TEST_F(DescriptorPacketTest, SaysThatNothingIsThereAndThatItIsTheEnd) {
  char byte;
  PacketDescriptors descriptors;
  EXPECT_EQ(ReceiveDescriptorPacket(other_, &byte, 1, descriptors, MSG_DONTWAIT), -1);
  EXPECT_EQ(errno, EAGAIN);
  one_.Reset();
  EXPECT_EQ(ReceiveDescriptorPacket(other_, &byte, 1, descriptors), 0);
  EXPECT_FALSE(SendDescriptorPacket(other_, &byte, 1, {}));
}

TEST_F(DescriptorPacketTest, ClosesWhatComesWithAPacketThatIsNone) {
  const int free = LowestFree();
  char byte;
  PacketDescriptors descriptors;
  ASSERT_TRUE(SendDescriptorPacket(one_, "xy", 2, {one_}));
  EXPECT_EQ(ReceiveDescriptorPacket(other_, &byte, 1, descriptors), -1);
  EXPECT_EQ(errno, EPROTO);
  // Three descriptors, where there is room for two.
  const int three[] = {one_.get(), one_.get(), one_.get()};
  iovec data = {.iov_base = &byte, .iov_len = 1};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof three)] = {};
  msghdr packet = {};
  packet.msg_iov = &data;
  packet.msg_iovlen = 1;
  packet.msg_control = control;
  packet.msg_controllen = sizeof control;
  cmsghdr* const header = CMSG_FIRSTHDR(&packet);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof three);
  std::memcpy(CMSG_DATA(header), three, sizeof three);
  ASSERT_EQ(sendmsg(one_.get(), &packet, 0), 1);
  EXPECT_EQ(ReceiveDescriptorPacket(other_, &byte, 1, descriptors), -1);
  EXPECT_EQ(errno, EPROTO);
  EXPECT_FALSE(descriptors[0].valid());
  EXPECT_EQ(LowestFree(), free);
}

TEST_F(DescriptorPacketTest, TakesNoMoreThanItCanCarry) {
  EXPECT_FALSE(SendDescriptorPacket(one_, "x", 1, {one_, one_, one_}));
  EXPECT_EQ(errno, EINVAL);
}

}  // namespace
}  // namespace capbroker
