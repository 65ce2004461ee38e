#include "authority/keyed_hash.h"

#include <sys/auxv.h>
#include <sys/random.h>
#include <time.h>

#include <bit>
#include <cstring>

namespace capbroker::authority {
namespace {

static_assert(std::endian::native == std::endian::little, "blocks are read as they lie");

uint64_t LoadBlock(const char* bytes, size_t size) {
  uint64_t block = 0;
  std::memcpy(&block, bytes, size);
  return block;
}

class SipState {
 public:
  SipState(const HashKey& key, uint64_t tweak)
      : v0_(key.low ^ 0x736f6d6570736575),
        v1_(key.high ^ 0x646f72616e646f6d),
        v2_(key.low ^ 0x6c7967656e657261 ^ tweak),
        v3_(key.high ^ 0x7465646279746573) {}

  template <int kRounds>
  void Absorb(uint64_t block) {
    v3_ ^= block;
    Rounds<kRounds>();
    v0_ ^= block;
  }
  template <int kRounds>
  uint64_t Finish() {
    v2_ ^= 0xff;
    Rounds<kRounds>();
    return v0_ ^ v1_ ^ v2_ ^ v3_;
  }

 private:
  template <int kRounds>
  void Rounds() {
    for (int i = 0; i < kRounds; ++i) {
      v0_ += v1_;
      v1_ = std::rotl(v1_, 13) ^ v0_;
      v0_ = std::rotl(v0_, 32);
      v2_ += v3_;
      v3_ = std::rotl(v3_, 16) ^ v2_;
      v0_ += v3_;
      v3_ = std::rotl(v3_, 21) ^ v0_;
      v2_ += v1_;
      v1_ = std::rotl(v1_, 17) ^ v2_;
      v2_ = std::rotl(v2_, 32);
    }
  }

  uint64_t v0_, v1_, v2_, v3_;
};

template <int kBlockRounds, int kFinalRounds>
uint64_t SipHash(const HashKey& key, absl::string_view text, uint64_t tweak) {
  SipState state(key, tweak);
  const char* block = text.data();
  for (size_t left = text.size(); left >= 8; left -= 8, block += 8) {
    state.Absorb<kBlockRounds>(LoadBlock(block, 8));
  }
  const size_t rest = text.size() % 8;
  const uint64_t last = static_cast<uint64_t>(text.size()) << 56;
  state.Absorb<kBlockRounds>(rest == 0 ? last : last | LoadBlock(block, rest));
  return state.Finish<kFinalRounds>();
}

HashKey DrawKey() {
  HashKey key;
  if (getrandom(&key, sizeof(key), GRND_NONBLOCK) == sizeof(key)) return key;
  // In a confinement without getrandom(2): what the kernel gave at exec, which a
  // sibling shares, and the nanosecond, which it would have to guess.
  // NOLINTNEXTLINE(performance-no-int-to-ptr): what getauxval(3) gives is an address
  std::memcpy(&key, reinterpret_cast<const void*>(getauxval(AT_RANDOM)), sizeof(key));
  timespec now = {};
  clock_gettime(CLOCK_MONOTONIC, &now);
  key.low ^= static_cast<uint64_t>(now.tv_nsec) << 32 ^ static_cast<uint64_t>(now.tv_sec);
  return key;
}

}  // namespace

const HashKey& ProcessHashKey() {
  static const HashKey key = DrawKey();
  return key;
}

uint64_t SipHash13(const HashKey& key, absl::string_view text, uint64_t tweak) {
  return SipHash<1, 3>(key, text, tweak);
}

uint64_t SipHash24(const HashKey& key, absl::string_view text) {
  return SipHash<2, 4>(key, text, 0);
}

}  // namespace capbroker::authority
