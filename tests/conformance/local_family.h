// A family served by a thread of the test's own process, by the very code of a
// service process; only the broker's record is the test's.
#ifndef TESTS_CONFORMANCE_LOCAL_FAMILY_H_
#define TESTS_CONFORMANCE_LOCAL_FAMILY_H_

#include <atomic>
#include <memory>
#include <string>
#include <thread>

#include "authority/schema.h"
#include "base/unique_fd.h"
#include "capbroker/v1/control.fake.h"
#include "serving/dispatch.h"
#include "serving/events/event_loop.h"
#include "serving/lane/lane_server.h"
#include "serving/process/family_server.h"
#include "transport/channel.h"

namespace capbroker::testing {

class LocalFamily {
 public:
  // Dies on limits that do not compile: a mistake in the test.
  LocalFamily(std::unique_ptr<serving::Dispatch> service, const google::protobuf::Message& limits,
              serving::LaneServerOptions options = {}, bool wire = true);
  ~LocalFamily();

  // The client end of the family's first channel; once.
  UniqueFd TakeLane() { return std::move(lane_); }
  // Channels are numbered from 1, in the order of their making.
  void Revoke(uint64_t channel = 1) { family_->Revoke(channel); }
  // Of the calls that the broker would have had.
  int commits() const { return commits_.load(); }
  int clones() const { return static_cast<int>(next_channel_.load()) - 2; }

 private:
  std::unique_ptr<serving::Dispatch> service_;
  std::unique_ptr<serving::Dispatch> capability_;
  std::unique_ptr<const authority::ServiceSchema> schema_;
  std::unique_ptr<serving::EventLoop> loop_;
  std::unique_ptr<serving::LaneServer> server_;
  ::capbroker::v1::SupervisorFake supervisor_;
  std::atomic<uint64_t> next_channel_{2};
  std::atomic<int> commits_{0};
  std::unique_ptr<serving::FamilyServer> family_;
  UniqueFd lane_;
  std::thread thread_;
};

}  // namespace capbroker::testing

#endif  // TESTS_CONFORMANCE_LOCAL_FAMILY_H_
