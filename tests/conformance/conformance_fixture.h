// A family, its channel, and a stub of one of the paths: the lane's client, the same while the lane
// is busy, so that calls are posted to its mailbox, callbacks of a loop whose lanes share a
// mailbox, the generated stub's wire, and a stock gRPC client that was given nothing but the wire's
// descriptor; all of it a second time through a proxy that holds a channel of the service.
#ifndef TESTS_CONFORMANCE_CONFORMANCE_FIXTURE_H_
#define TESTS_CONFORMANCE_CONFORMANCE_FIXTURE_H_

#include <memory>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

#include "capbroker/v1/authority.pb.h"
#include "gtest/gtest.h"
#include "serving/dispatch.h"
#include "tests/conformance/conformance.capbroker.h"
#include "tests/conformance/conformance_service.h"
#include "tests/conformance/local_family.h"
#include "transport/channel.h"

namespace capbroker::testing {

enum class Path { kLane, kMailbox, kLoop, kStubsWire, kStockClient };

enum class Served { kDirectly, kByProxy };

using Param = std::tuple<Path, Served>;

inline auto EveryPath() {
  return ::testing::Combine(::testing::Values(Path::kLane, Path::kMailbox, Path::kLoop,
                                              Path::kStubsWire, Path::kStockClient),
                            ::testing::Values(Served::kDirectly, Served::kByProxy));
}
// Streams never travel on a lane.
inline auto EveryPathOfStreams() {
  return ::testing::Combine(::testing::Values(Path::kLane, Path::kStubsWire, Path::kStockClient),
                            ::testing::Values(Served::kDirectly, Served::kByProxy));
}
std::string ParamName(const ::testing::TestParamInfo<Param>& info);

v1::ConformanceLimits Words(std::vector<std::string> words);
v1::EchoRequest EchoOf(std::string payload, std::string word = "yes");

void ExpectDenied(const grpc::Status& status, ::capbroker::v1::Denial::Reason reason,
                  const std::string& field);

class ConformanceTest : public ::testing::TestWithParam<Param> {
 protected:
  ConformanceTest();

  // gRPC's core stays in this process: ending it takes ten seconds now and then.
  static void SetUpTestSuite();

  static Path path() { return std::get<Path>(GetParam()); }
  static bool on_lane() {
    return path() == Path::kLane || path() == Path::kMailbox || path() == Path::kLoop;
  }
  v1::Conformance::StubInterface& stub();

  // What the family under test serves.
  std::unique_ptr<serving::Dispatch> Service();

  const std::thread::id owner_ = std::this_thread::get_id();
  std::unique_ptr<LocalFamily> upstream_;
  LocalFamily family_;
  std::shared_ptr<Channel> channel_;
  std::unique_ptr<v1::Conformance::StubInterface> stub_;
};

}  // namespace capbroker::testing

#endif  // TESTS_CONFORMANCE_CONFORMANCE_FIXTURE_H_
