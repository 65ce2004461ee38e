// A family with everything that is real about it but the processes: the broker's record
// (broker/families/family.h) and the service process's side (serving/process/family_server.h) in
// one thread, with crashes at every moment that makes a difference.
//
// A crash here is the loss of all that a service process has in memory; its successor gets what
// Family::Install() gives. Lanes are new then: that they survive is tested with real kills
// (crash_sequence_test).
//
// Lives in: tests. Not thread-safe.
#ifndef TESTS_AUTHORITY_FAMILY_UNDER_TEST_H_
#define TESTS_AUTHORITY_FAMILY_UNDER_TEST_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "authority/schema.h"
#include "base/unique_fd.h"
#include "broker/families/family.h"
#include "capbroker/v1/control.fake.h"
#include "google/protobuf/message.h"
#include "serving/dispatch.h"
#include "serving/events/event_loop.h"
#include "serving/lane/lane_server.h"
#include "serving/process/family_server.h"

namespace capbroker::testing {

// When, in an operation that the broker records, the service process dies.
enum class Crash { kNone, kBeforeItIsRecorded, kAfterItIsRecorded };

class FamilyUnderTest {
 public:
  // With one channel, broker::kFirstChannel. Dies on limits or a budget that do not
  // compile: a mistake in the test.
  FamilyUnderTest(const authority::ServiceSchema& schema, const google::protobuf::Message& limits,
                  const google::protobuf::Message& budget);
  ~FamilyUnderTest();

  // What holders do. One that does not know the answer, because of the crash, gets an error.
  absl::Status Narrow(uint64_t channel, const google::protobuf::Message& limits, Crash crash);
  absl::StatusOr<uint64_t> Clone(uint64_t channel, const google::protobuf::Message* limits,
                                 Crash crash);
  struct Answer {
    absl::Status admitted;
    absl::Status responded;  // asked when it was admitted
  };
  Answer Ask(uint64_t channel, const authority::MethodSchema& method,
             const google::protobuf::Message& request, uint64_t response_bytes,
             uint64_t descriptors, Crash crash);
  // True: the whole family has ended.
  bool Close(uint64_t channel);

  // What the broker does. kBeforeItIsRecorded: before the process is told.
  void Revoke(uint64_t channel, Crash crash);
  void CrashAndRestart();
  void Advance(absl::Duration time) { *now_ += time; }

  // What the service process has of a channel; null when it serves none of that number.
  std::shared_ptr<serving::ChannelState> State(uint64_t channel) const;

 private:
  void StartProcess(bool successor);
  void EndProcess();
  void RunLoop();
  // The broker's answer to what the process asks, or the process's end.
  absl::Status Recorded(const std::function<absl::Status()>& record);
  void AnswerLikeABroker();

  const authority::ServiceSchema& schema_;
  const serving::ServiceDefinition definition_;
  const std::shared_ptr<absl::Duration> now_;
  std::unique_ptr<broker::Family> record_;

  Crash crash_ = Crash::kNone;
  bool dead_ = false;
  v1::SupervisorFake supervisor_;
  std::unique_ptr<serving::Dispatch> service_;
  std::unique_ptr<serving::Dispatch> capability_;
  std::unique_ptr<serving::EventLoop> loop_;
  std::unique_ptr<serving::LaneServer> server_;
  std::unique_ptr<serving::FamilyServer> process_;
  // The holders' ends.
  std::map<uint64_t, UniqueFd> held_;
};

}  // namespace capbroker::testing

#endif  // TESTS_AUTHORITY_FAMILY_UNDER_TEST_H_
