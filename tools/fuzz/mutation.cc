#include "tools/fuzz/mutation.h"

#include <algorithm>
#include <iterator>

#include "absl/strings/string_view.h"

namespace capbroker::fuzz {
namespace {

// Bytes that a parser of protobuf, or a reader of names and paths, takes for something.
constexpr absl::string_view kMeaningful[] = {
    absl::string_view("\0", 1),
    "\x7f",
    "\xff\xff\xff\xff\x0f",                      // the largest uint32
    "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",  // -1
    "\x80\x80\x80\x80\x08",                      // -2^31 in 32 bits
    "\x0a\x01*",                                 // field 1: "*"
    "\x12\x01*",                                 // field 2: "*"
    absl::string_view("\x0a\x00", 2),            // field 1: ""
    "*",
    "/",
    "..",
    "../",
    "\xc0\x3e\x01",  // field 1000: 1
    "\x0b",          // a group that does not end
    "\xed\xa0\x80",  // half of a surrogate pair
};

}  // namespace

std::string Mutation::Mutate(std::string input, const std::string& other, size_t largest) {
  for (uint64_t changes = 1 + Below(4); changes > 0; --changes) Change(input, other);
  if (input.size() > largest) input.resize(largest);
  return input;
}

void Mutation::Change(std::string& input, const std::string& other) {
  const size_t at = Below(input.size() + 1);
  const size_t length = std::min<size_t>(1 + Below(8), input.size() - at);
  switch (Below(8)) {
    case 0:
      if (at < input.size()) input[at] = static_cast<char>(input[at] ^ (1 << Below(8)));
      break;
    case 1:
      if (at < input.size()) input[at] = static_cast<char>(Below(256));
      break;
    case 2:
      input.insert(at, 1, static_cast<char>(Below(256)));
      break;
    case 3:
      input.erase(at, length);
      break;
    case 4:
      input.insert(Below(input.size() + 1), input.substr(at, length));
      break;
    case 5: {
      const absl::string_view bytes = kMeaningful[Below(std::size(kMeaningful))];
      input.insert(at, bytes.data(), bytes.size());
      break;
    }
    case 6: {
      const size_t from = Below(other.size() + 1);
      input.insert(at, other.substr(from, Below(32)));
      break;
    }
    default:
      // Long: lengths and counts over their bounds.
      if (Below(8) == 0 && at < input.size()) {
        const std::string piece = input.substr(at, length);
        for (uint64_t i = Below(256); i > 0; --i) input.insert(at, piece);
      }
  }
}

}  // namespace capbroker::fuzz
