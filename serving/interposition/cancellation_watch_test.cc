#include "serving/interposition/cancellation_watch.h"

#include <grpcpp/client_context.h>
#include <grpcpp/server_context.h>
#include <time.h>

#include <memory>
#include <thread>
#include <vector>

#include "absl/time/clock.h"
#include "gtest/gtest.h"
#include "transport/grpc_access.h"

namespace capbroker::serving {
namespace {

using transport::ClientContextAccess;
using transport::ServerContextAccess;

bool CancelledSoon(grpc::ClientContext& call) {
  for (int i = 0; i < 2000 && !ClientContextAccess::IsCancelled(call); ++i) {
    absl::SleepFor(absl::Milliseconds(1));
  }
  return ClientContextAccess::IsCancelled(call);
}

TEST(CancellationWatchTest, CancelsTheCallOfACallerThatIsCancelledAndNoOther) {
  CancellationWatch watch;
  grpc::ServerContext caller, other_caller;
  grpc::ClientContext call, other_call;
  const CancellationWatch::Scope scope(watch, caller, call);
  const CancellationWatch::Scope other(watch, other_caller, other_call);
  absl::SleepFor(absl::Milliseconds(50));
  EXPECT_FALSE(ClientContextAccess::IsCancelled(call));
  ServerContextAccess::Cancel(caller);
  EXPECT_TRUE(CancelledSoon(call));
  EXPECT_FALSE(ClientContextAccess::IsCancelled(other_call));
}

// INVARIANT(nobody-spins-for-a-stranger)
TEST(CancellationWatchTest, SleepsWithoutCallsAndWakesForTheNext) {
  CancellationWatch watch;
  {
    grpc::ServerContext caller;
    grpc::ClientContext call;
    const CancellationWatch::Scope scope(watch, caller, call);
  }
  absl::SleepFor(absl::Milliseconds(500));
  timespec before, after;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &before);
  absl::SleepFor(absl::Seconds(1));
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &after);
  const absl::Duration used =
      absl::DurationFromTimespec(after) - absl::DurationFromTimespec(before);
  EXPECT_LT(used, absl::Microseconds(500));
  grpc::ServerContext caller;
  grpc::ClientContext call;
  const CancellationWatch::Scope scope(watch, caller, call);
  ServerContextAccess::Cancel(caller);
  EXPECT_TRUE(CancelledSoon(call));
}

TEST(CancellationWatchTest, CallsComeAndGoOnManyThreads) {
  CancellationWatch watch;
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&watch, t] {
      for (int i = 0; i < 200; ++i) {
        grpc::ServerContext caller;
        grpc::ClientContext call;
        if (i % 3 == 0) ServerContextAccess::Cancel(caller);
        const CancellationWatch::Scope scope(watch, caller, call);
        if (i % 50 == t) absl::SleepFor(absl::Milliseconds(5));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace capbroker::serving
