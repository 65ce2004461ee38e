// Hashing of what hostile peers choose.
//
// A worker can propose limits with 100,000 entries, and one forked from the zygote
// knows the memory layout of a service process, and with it the seed of Abseil's hash:
// it could choose entries that all collide, and each call would cost seconds.
// So tables here hash with SipHash-1-3 under a key drawn by each process for itself.
//
// Lives in: every process that compiles limits. Thread-safe.
#ifndef AUTHORITY_KEYED_HASH_H_
#define AUTHORITY_KEYED_HASH_H_

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/strings/string_view.h"

namespace capbroker::authority {

struct HashKey {
  uint64_t low = 0;
  uint64_t high = 0;
};

// Drawn at the first use, so after the fork that made the process, as long as
// nothing is compiled before it.
const HashKey& ProcessHashKey();

// SipHash with 1 round per block and 3 at the end; `tweak` tells tables apart.
uint64_t SipHash13(const HashKey& key, absl::string_view text, uint64_t tweak = 0);
// The original with 2 and 4, which has published test vectors.
uint64_t SipHash24(const HashKey& key, absl::string_view text);

struct KeyedHash {
  using is_transparent = void;
  size_t operator()(absl::string_view text) const { return SipHash13(ProcessHashKey(), text); }
  size_t operator()(int64_t number) const {
    return SipHash13(ProcessHashKey(), {}, static_cast<uint64_t>(number));
  }
};

struct TextEqual {
  using is_transparent = void;
  bool operator()(absl::string_view a, absl::string_view b) const { return a == b; }
};

using KeyedTextSet = absl::flat_hash_set<std::string, KeyedHash, TextEqual>;
template <typename Value>
using KeyedTextMap = absl::flat_hash_map<std::string, Value, KeyedHash, TextEqual>;
using KeyedIntegerSet = absl::flat_hash_set<int64_t, KeyedHash>;

}  // namespace capbroker::authority

#endif  // AUTHORITY_KEYED_HASH_H_
