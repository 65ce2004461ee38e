// What the check costs: a request of ten bounded fields, and one field against
// limits of 10 to 10,000 entries. Run with `bazel run -c opt`.
#include <cstdint>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "authority/budget.h"
#include "authority/limits.h"
#include "authority/schema.h"
#include "benchmark/benchmark.h"
#include "capbroker/dns/v1/resolver.pb.h"
#include "tests/authority/every_kind.pb.h"

namespace capbroker::authority {
namespace {

using testing::v1::EveryKindLimits;
using testing::v1::PlainRequest;

const ServiceSchema& Schema() {
  static const ServiceSchema* const schema =
      ServiceSchema::Compile(*PlainRequest::descriptor()->file()->FindServiceByName("EveryKind"))
          .value()
          .release();
  return *schema;
}

EveryKindLimits SmallLimits() {
  EveryKindLimits limits;
  limits.add_colors(testing::v1::COLOR_RED);
  limits.add_words("word");
  limits.add_blobs("blob");
  limits.add_numbers(-1);
  limits.add_ids(7);
  limits.add_id_texts("-9");
  limits.add_names("*.example.org");
  limits.add_paths("/srv/data/");
  limits.add_ranges("192.0.2.0/24");
  limits.set_size(100);
  limits.set_level(5);
  limits.set_flags(6);
  return limits;
}

PlainRequest AllowedRequest() {
  PlainRequest request;
  request.set_color(testing::v1::COLOR_RED);
  request.set_word("word");
  request.set_blob("blob");
  request.set_number(-1);
  request.set_id(7);
  request.set_id_text(-9);
  request.set_name("www.example.org");
  request.set_path("/srv/data/page.html");
  request.set_address("192.0.2.1");
  request.set_packed_address(std::string("\xc0\x00\x02\x01", 4));
  request.set_size(100);
  request.set_level(5);
  request.set_flags(2);
  return request;
}

void Check(benchmark::State& state, const Limits& limits, const std::string& method,
           const google::protobuf::Message& request) {
  const MethodSchema& checked = *limits.schema().FindMethod(method);
  if (limits.Check(checked, request).has_value()) state.SkipWithError("denied");
  for (auto _ : state) benchmark::DoNotOptimize(limits.Check(checked, request));
}

// All thirteen fields of the request.
void BM_EveryKind(benchmark::State& state) {
  const auto limits = Limits::Compile(Schema(), SmallLimits()).value();
  Check(state, *limits, "Plain", AllowedRequest());
}
BENCHMARK(BM_EveryKind);

void BM_Resolve(benchmark::State& state) {
  const auto schema =
      ServiceSchema::Compile(
          *dns::v1::ResolveRequest::descriptor()->file()->FindServiceByName("Resolver"))
          .value();
  const auto limits = Limits::CompileText(*schema,
                                          "names: '*.example.org' families: [ADDRESS_FAMILY_INET, "
                                          "ADDRESS_FAMILY_INET6] directions: DIRECTION_FORWARD")
                          .value();
  dns::v1::ResolveRequest request;
  request.set_name("www.example.org");
  request.add_families(dns::v1::ADDRESS_FAMILY_INET);
  Check(state, *limits, "Resolve", request);
}
BENCHMARK(BM_Resolve);

void BM_Denied(benchmark::State& state) {
  const auto limits = Limits::Compile(Schema(), SmallLimits()).value();
  PlainRequest request = AllowedRequest();
  request.set_flags(1);
  const MethodSchema& method = *Schema().FindMethod("Plain");
  for (auto _ : state) benchmark::DoNotOptimize(limits->Check(method, request));
}
BENCHMARK(BM_Denied);

// One field with many entries; the others as above.
void BM_Words(benchmark::State& state) {
  EveryKindLimits message = SmallLimits();
  for (int64_t i = 0; i < state.range(0); ++i) message.add_words(absl::StrCat("word", i));
  Check(state, *Limits::Compile(Schema(), message).value(), "Plain", AllowedRequest());
}
BENCHMARK(BM_Words)->RangeMultiplier(10)->Range(10, 10'000);

void BM_Names(benchmark::State& state) {
  EveryKindLimits message = SmallLimits();
  for (int64_t i = 0; i < state.range(0); ++i) {
    message.add_names(absl::StrCat(i % 2 == 0 ? "*." : "", "host", i, ".example.net"));
  }
  Check(state, *Limits::Compile(Schema(), message).value(), "Plain", AllowedRequest());
}
BENCHMARK(BM_Names)->RangeMultiplier(10)->Range(10, 10'000);

void BM_Paths(benchmark::State& state) {
  EveryKindLimits message = SmallLimits();
  for (int64_t i = 0; i < state.range(0); ++i) {
    message.add_paths(absl::StrCat("/srv/other/", i, i % 2 == 0 ? "/" : ""));
  }
  Check(state, *Limits::Compile(Schema(), message).value(), "Plain", AllowedRequest());
}
BENCHMARK(BM_Paths)->RangeMultiplier(10)->Range(10, 10'000);

void BM_Ranges(benchmark::State& state) {
  EveryKindLimits message = SmallLimits();
  for (int64_t i = 0; i < state.range(0); ++i) {
    message.add_ranges(absl::StrCat("10.", i / 250, ".", i % 250, ".0/25"));
  }
  Check(state, *Limits::Compile(Schema(), message).value(), "Plain", AllowedRequest());
}
BENCHMARK(BM_Ranges)->RangeMultiplier(10)->Range(10, 10'000);

// The longest path that a worker can ask for, against entries that share its beginning.
void BM_LongestPath(benchmark::State& state) {
  EveryKindLimits message = SmallLimits();
  std::string path;
  while (path.size() < 4090) {
    path += "/a";
    message.add_paths(path + "b/");
  }
  message.add_paths("/");
  PlainRequest request = AllowedRequest();
  request.set_path(path);
  message.mutable_paths()->RemoveLast();
  message.add_paths(path);
  if (message.ByteSizeLong() > kMaxLimitsBytes) {
    message.mutable_paths()->DeleteSubrange(0, message.paths_size() - 1200);
  }
  const auto limits = Limits::Compile(Schema(), message).value();
  const MethodSchema& method = *Schema().FindMethod("Plain");
  for (auto _ : state) benchmark::DoNotOptimize(limits->Check(method, request));
}
BENCHMARK(BM_LongestPath);

void BM_Meet(benchmark::State& state) {
  EveryKindLimits message = SmallLimits();
  for (int64_t i = 0; i < state.range(0); ++i) {
    message.add_names(absl::StrCat("host", i, ".example.net"));
  }
  const auto a = Limits::Compile(Schema(), message).value();
  const auto b = Limits::Compile(Schema(), SmallLimits()).value();
  for (auto _ : state) benchmark::DoNotOptimize(Meet(*a, *b));
}
BENCHMARK(BM_Meet)->RangeMultiplier(10)->Range(10, 10'000);

void BM_ChargeCall(benchmark::State& state) {
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  testing::v1::EveryKindBudget message;
  message.set_calls_per_minute(4'000'000'000u);
  message.set_distinct_names(10);
  message.set_distinct_ranges(10);
  const auto budget = Budget::Create(Schema(), message).value();
  const MethodSchema& method = *Schema().FindMethod("Plain");
  const PlainRequest request = AllowedRequest();
  if (budget->ChargeCall(method, request).has_value()) state.SkipWithError("refused");
  for (auto _ : state) benchmark::DoNotOptimize(budget->ChargeCall(method, request));
}
BENCHMARK(BM_ChargeCall);

}  // namespace
}  // namespace capbroker::authority

BENCHMARK_MAIN();
