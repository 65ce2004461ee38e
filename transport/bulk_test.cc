#include "transport/bulk.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/unique_fd.h"
#include "gtest/gtest.h"

namespace capbroker::transport {
namespace {

constexpr size_t kSize = 100'000;

UniqueFd FilledBuffer() {
  absl::StatusOr<UniqueFd> buffer = MakeRequestBuffer(kSize);
  EXPECT_TRUE(buffer.ok()) << buffer.status();
  EXPECT_TRUE(FillRequestBuffer(*buffer, kSize, [](char* bytes) {
                std::memset(bytes, 'x', kSize);
                return true;
              }).ok());
  return *std::move(buffer);
}

TEST(BulkTest, NobodyChangesASealedMessageWhateverItsSize) {
  for (const size_t size : {size_t{1}, size_t{4096}, size_t{4097}, kSize}) {
    const absl::StatusOr<UniqueFd> sealed = MakeSealedMessage(size, [size](char* bytes) {
      std::memset(bytes, 'x', size);
      return true;
    });
    ASSERT_TRUE(sealed.ok()) << sealed.status();
    const absl::StatusOr<std::string> whole = CopyWholeMessage(*sealed);
    ASSERT_TRUE(whole.ok()) << whole.status();
    EXPECT_EQ(*whole, std::string(size, 'x'));
    EXPECT_EQ(fcntl(sealed->get(), F_GET_SEALS) & ~0x20 /* F_SEAL_EXEC */,
              F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
    EXPECT_EQ(pwrite(sealed->get(), "y", 1, 0), -1);
    EXPECT_EQ(pwrite(sealed->get(), "y", 1, static_cast<off_t>(size)), -1);
  }
}

TEST(BulkTest, NobodyWritesARequestThatIsBeingRead) {
  const UniqueFd buffer = FilledBuffer();
  int reads = 0;
  ASSERT_TRUE(
      ReadRequest(buffer, kSize, [&](absl::string_view bytes) {
        ++reads;
        EXPECT_EQ(bytes, std::string(kSize, 'x'));
        EXPECT_EQ(pwrite(buffer.get(), "y", 1, 0), -1);
        EXPECT_EQ(mmap(nullptr, kSize, PROT_WRITE, MAP_SHARED, buffer.get(), 0), MAP_FAILED);
        EXPECT_NE(fallocate(buffer.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, kSize), 0);
      }).ok());
  EXPECT_EQ(reads, 1);
}

TEST(BulkTest, OfARequestThatItsClientCanStillWriteACopyIsRead) {
  const UniqueFd buffer = FilledBuffer();
  void* const kept = mmap(nullptr, kSize, PROT_READ | PROT_WRITE, MAP_SHARED, buffer.get(), 0);
  ASSERT_NE(kept, MAP_FAILED);
  int reads = 0;
  ASSERT_TRUE(ReadRequest(buffer, kSize, [&](absl::string_view bytes) {
                ++reads;
                std::memset(kept, 'y', kSize);
                EXPECT_EQ(bytes, std::string(kSize, 'x'));
              }).ok());
  EXPECT_EQ(reads, 1);
  munmap(kept, kSize);
}

TEST(BulkTest, OfARequestThatItsClientKeepsFromBeingSealedACopyIsRead) {
  const UniqueFd buffer = FilledBuffer();
  ASSERT_EQ(fcntl(buffer.get(), F_ADD_SEALS, F_SEAL_SEAL), 0);
  int reads = 0;
  ASSERT_TRUE(ReadRequest(buffer, kSize, [&](absl::string_view bytes) {
                ++reads;
                EXPECT_EQ(pwrite(buffer.get(), "y", 1, 0), 1);
                EXPECT_EQ(bytes, std::string(kSize, 'x'));
              }).ok());
  EXPECT_EQ(reads, 1);
}

TEST(BulkTest, ARequestsSizeIsFixed) {
  const UniqueFd buffer = FilledBuffer();
  EXPECT_NE(ftruncate(buffer.get(), 1), 0);
  EXPECT_NE(ftruncate(buffer.get(), 2 * kSize), 0);
}

}  // namespace
}  // namespace capbroker::transport
