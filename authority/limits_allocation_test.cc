// A check that allows a request makes no allocation, whatever its fields, except for
// maps, which reflection copies.
#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>
#include <string>

#include "authority/limits.h"
#include "authority/schema.h"
#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"
#include "tests/authority/every_kind.pb.h"

namespace {
std::atomic<int64_t> allocations = 0;
}  // namespace

// Not inlined: the compiler would see malloc's memory given to delete, and warn.
__attribute__((noinline)) void* operator new(size_t size) {
  ++allocations;
  void* const memory = std::malloc(size);
  if (memory == nullptr) std::abort();
  return memory;
}
__attribute__((noinline)) void operator delete(void* memory) noexcept { std::free(memory); }
__attribute__((noinline)) void operator delete(void* memory, size_t) noexcept { std::free(memory); }

namespace capbroker::authority {
namespace {

template <typename Request>
int64_t AllocationsOfCheck(const char* method, const std::string& limits_text,
                           const std::string& request_text) {
  const auto schema =
      ServiceSchema::Compile(*Request::descriptor()->file()->FindServiceByName("EveryKind"))
          .value();
  const auto limits = Limits::CompileText(*schema, limits_text).value();
  Request request;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(request_text, &request));
  EXPECT_FALSE(limits->Check(*schema->FindMethod(method), request).has_value());
  const int64_t before = allocations;
  EXPECT_FALSE(limits->Check(*schema->FindMethod(method), request).has_value());
  return allocations - before;
}

TEST(LimitsAllocationTest, AllowingEveryKindAllocatesNothing) {
  const std::string long_name(60, 'a');
  EXPECT_EQ(
      AllocationsOfCheck<testing::v1::PlainRequest>(
          "Plain",
          "colors: COLOR_RED words: 'a word of 16 byt' blobs: '*' numbers: -1 ids: 7"
          "  id_texts: '-9' names: '*.EXAMPLE.org' paths: '/srv/' ranges: '10.0.0.0/8'"
          "  ranges: '2001:db8::/32' size: 100 level: 5 flags: 6",
          "color: COLOR_RED word: 'a word of 16 byt' blob: 'b' number: -1 id: 7 id_text: -9"
          "  name: '" +
              long_name + "." + long_name +
              ".example.ORG.'"
              "  path: '/srv/a/long/path/that/has/no/place/in/a/short/string'"
              "  address: '2001:db8::1' packed_address: '\\n\\000\\000\\001' size: 1 level: 1"),
      0);
}

TEST(LimitsAllocationTest, AllowingNestedAndRepeatedFieldsAllocatesNothing) {
  EXPECT_EQ(AllocationsOfCheck<testing::v1::ShapedRequest>(
                "Shaped", "words: '*' numbers: -1 names: '*' ids: 1 colors: COLOR_RED paths: '/'",
                "words: 'a' words: 'b' ids: 1 name: 'a' target { name: 'a' colors: COLOR_RED }"
                "  targets { name: 'b' } targets { name: 'c' } path: '/a' note: 'n'"
                "  when { seconds: 1 } input { slot: 1 }"),
            0);
}

}  // namespace
}  // namespace capbroker::authority
