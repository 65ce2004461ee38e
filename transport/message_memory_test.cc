#include "transport/message_memory.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <memory>
#include <string>
#include <utility>

#include "base/status_matchers.h"
#include "gtest/gtest.h"

namespace capbroker::transport {
namespace {

using ::capbroker::testing::StatusIs;

constexpr size_t kSize = 300'000;
constexpr size_t kMapped = 76 * 4096;  // and what tells whether it is claimed

bool FillWithX(char* bytes) {
  std::memset(bytes, 'x', kSize);
  return true;
}

std::string BytesIn(MessageMemory& memory, size_t size) {
  std::string bytes;
  memory.Read(size).AppendTo(bytes);
  return bytes;
}

int64_t BlocksOf(FdRef memfd) {
  struct stat status = {};
  EXPECT_EQ(fstat(memfd.get(), &status), 0);
  return status.st_blocks;
}

UniqueFd Memfd(size_t size, int seals) {
  UniqueFd memfd(memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  EXPECT_EQ(ftruncate(memfd.get(), static_cast<off_t>(size)), 0);
  EXPECT_EQ(fcntl(memfd.get(), F_ADD_SEALS, seals), 0);
  return memfd;
}

struct Ends {
  std::unique_ptr<MessageMemory> service;
  std::unique_ptr<MessageMemory> client;
  UniqueFd memfd;
};

Ends Make() {
  Ends ends;
  ends.service = MessageMemory::Make(kSize).value();
  ends.memfd = ends.service->Share().value();
  ends.client = MessageMemory::Map(ends.memfd, kSize).value();
  return ends;
}

TEST(MessageMemoryTest, EachEndReadsWhatTheOtherWrote) {
  const Ends ends = Make();
  EXPECT_OK(ends.client->Write(kSize, FillWithX));
  EXPECT_EQ(BytesIn(*ends.service, kSize), std::string(kSize, 'x'));
  EXPECT_OK(ends.service->Write(1, [](char* bytes) { return *bytes = 'y'; }));
  EXPECT_EQ(BytesIn(*ends.client, 2), "yx");
  // Either end may change it at any time.
  EXPECT_TRUE(ends.client->Read(1).shared());
  EXPECT_TRUE(ends.service->Read(1).shared());
}

TEST(MessageMemoryTest, ItsSizeIsFixed) {
  const Ends ends = Make();
  EXPECT_NE(ftruncate(ends.memfd.get(), 1), 0);
  EXPECT_NE(ftruncate(ends.memfd.get(), 2 * kSize), 0);
}

TEST(MessageMemoryTest, MemoryThatCouldShrinkIsNotMapped) {
  EXPECT_THAT(MessageMemory::Map(Memfd(kMapped, 0), kSize),
              StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(MessageMemory::Map(Memfd(kMapped, F_SEAL_GROW), kSize),
              StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_OK(MessageMemory::Map(Memfd(kMapped, F_SEAL_SHRINK), kSize));
}

TEST(MessageMemoryTest, MemoryOfAnotherSizeThanItIsSaidToHaveIsNotMapped) {
  EXPECT_THAT(MessageMemory::Map(Memfd(kMapped, F_SEAL_SHRINK), 75 * 4096 + 1),
              StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(MessageMemory::Map(Memfd(kMapped + 1, F_SEAL_SHRINK), kSize),
              StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(MessageMemory::Map(Memfd(0, F_SEAL_SHRINK), 0),
              StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(MessageMemory::Map(Memfd((64 << 20) + 8192, F_SEAL_SHRINK), kSize),
              StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST(MessageMemoryTest, WhatIsNoMemfdIsNotMapped) {
  const UniqueFd file(open("/dev/zero", O_RDWR | O_CLOEXEC));
  EXPECT_THAT(MessageMemory::Map(file, 1), StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST(MessageMemoryTest, IsGivenBackUnlessItIsClaimed) {
  const Ends ends = Make();
  EXPECT_OK(ends.client->Write(kSize, FillWithX));
  // As it was made: for a call.
  EXPECT_FALSE(ends.service->GiveBack());
  ends.client->Unclaim();
  EXPECT_TRUE(ends.client->Claim());
  EXPECT_FALSE(ends.service->GiveBack());
  EXPECT_EQ(BytesIn(*ends.service, kSize), std::string(kSize, 'x'));
  ends.client->Unclaim();
  EXPECT_TRUE(ends.service->GiveBack());
  EXPECT_EQ(BlocksOf(ends.memfd), 8);  // the page that tells so
  EXPECT_FALSE(ends.client->Claim());
}

}  // namespace
}  // namespace capbroker::transport
