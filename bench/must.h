// For the benchmark alone: what fails ends it, for a figure of something that failed is none.
#ifndef BENCH_MUST_H_
#define BENCH_MUST_H_

#include <cstdio>
#include <cstdlib>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace capbroker::bench {

[[noreturn]] inline void Fail(absl::string_view what, absl::string_view why) {
  std::fprintf(stderr, "bench: %s: %s\n", std::string(what).c_str(), std::string(why).c_str());
  std::exit(1);
}

inline void Must(bool holds, absl::string_view what) {
  if (!holds) Fail(what, "failed");
}

inline void Must(const absl::Status& status, absl::string_view what) {
  if (!status.ok()) Fail(what, status.ToString());
}

template <typename T>
T Must(absl::StatusOr<T> result, absl::string_view what) {
  if (!result.ok()) Fail(what, result.status().ToString());
  return *std::move(result);
}

}  // namespace capbroker::bench

#endif  // BENCH_MUST_H_
