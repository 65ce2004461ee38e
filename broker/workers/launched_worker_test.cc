// A worker whose zygote dies at a bad moment. The zygote is one that does just that; what it forks
// is a process that speaks as an init does.
#include "broker/workers/launched_worker.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/lifeline.h"
#include "base/pid_fd.h"
#include "base/status_matchers.h"
#include "base/unique_fd.h"
#include "gtest/gtest.h"
#include "serving/events/event_loop.h"
#include "transport/lane_socket.h"

namespace capbroker::broker {
namespace {

void Tell(FdRef report, sandbox::Report::Kind kind) {
  sandbox::Report told;
  told.kind = kind;
  if (send(report.get(), &told, sizeof told, MSG_NOSIGNAL) < 0) _exit(1);
}

// Lives until its lifeline breaks. A spare begins when it has its job.
[[noreturn]] void BeInit(UniqueFd lifeline, UniqueFd report, UniqueFd job) {
  if (!DieWithLifeline(std::move(lifeline)).ok()) _exit(1);
  Tell(report, job.valid() ? sandbox::Report::Kind::kWaits : sandbox::Report::Kind::kStarted);
  while (true) pause();
}

// Forks one init, and is gone before it tells of it.
int ForkAndDie(UniqueFd control, UniqueFd) {
  transport::ReceiveBuffer buffer;
  while (true) {
    auto packet = transport::ReceivePacket(control, buffer, transport::PacketDirection::kToService,
                                           transport::Blocking::kWait);
    if (!packet.ok() || !packet->has_value()) return 1;
    v1::ZygoteCommand command;
    const absl::string_view bytes = (*packet)->view.message;
    if (!command.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) return 1;
    if (!command.has_fork_worker()) continue;
    const auto take = [&](const v1::Descriptor& field) {
      return field.slot() == 0 ? UniqueFd() : std::move((*packet)->descriptors[field.slot() - 1]);
    };
    UniqueFd lifeline = take(command.fork_worker().lifeline());
    UniqueFd report = take(command.fork_worker().report());
    UniqueFd job = take(command.fork_worker().job());
    const absl::StatusOr<Cloned> init = CloneProcess({});
    if (!init.ok()) return 1;
    if (init->pid == 0) {
      control.Reset();
      BeInit(std::move(lifeline), std::move(report), std::move(job));
    }
    // Not before it has spoken, and has been heard.
    absl::SleepFor(absl::Milliseconds(50));
    return 1;
  }
}

class LaunchedWorkerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    // As the broker is.
    ASSERT_EQ(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), 0);
    ASSERT_OK_AND_ASSIGN(loop_, serving::EventLoop::Create());
    zygote_ = std::make_unique<ZygoteKeeper>(loop_.get(), ForkAndDie);
    ASSERT_OK(zygote_->Start());
    parts_.loop = loop_.get();
    parts_.zygote = zygote_.get();
  }

  LaunchedWorker::Events Events() {
    return {
        .started = [this](absl::StatusOr<std::vector<std::string>> l) { started_ = l.status(); },
        .ended =
            [this](const v1::WaitWorkerResponse& end) {
              ++ends_;
              end_ = end;
            }};
  }

  template <typename Condition>
  bool RunUntil(Condition condition) {
    const absl::Time deadline = absl::Now() + absl::Seconds(10);
    while (!condition() && absl::Now() < deadline) loop_->RunOnce(absl::Milliseconds(100));
    return condition();
  }

  std::unique_ptr<serving::EventLoop> loop_;
  std::unique_ptr<ZygoteKeeper> zygote_;
  BrokerParts parts_;
  std::optional<absl::Status> started_;
  int ends_ = 0;
  v1::WaitWorkerResponse end_;
};

// INVARIANT(no-hang)
TEST_F(LaunchedWorkerTest, EndOfOneThatNoZygoteReportedIsTold) {
  ASSERT_OK_AND_ASSIGN(std::shared_ptr<LaunchedWorker> worker,
                       LaunchedWorker::Start(parts_, {}, {}, Events()));
  ASSERT_TRUE(RunUntil([&] { return started_.has_value(); }));
  EXPECT_OK(*started_);
  const std::weak_ptr<LaunchedWorker> weak = worker;
  worker.reset();  // Who launched it may have let it go.
  ASSERT_TRUE(RunUntil([&] { return ends_ > 0; }));
  EXPECT_EQ(end_.signal(), SIGKILL);
  EXPECT_EQ(end_.reason(), "its init was killed");
  EXPECT_TRUE(RunUntil([&] { return weak.expired(); }));
  EXPECT_EQ(ends_, 1);
}

TEST_F(LaunchedWorkerTest, SpareThatNoZygoteReportedIsReplacedByItsJob) {
  ASSERT_OK_AND_ASSIGN(std::shared_ptr<LaunchedWorker> spare,
                       LaunchedWorker::StartSpare(parts_, {}, Events()));
  ASSERT_TRUE(RunUntil([&] { return started_.has_value(); }));
  EXPECT_OK(*started_);
  started_.reset();
  v1::ForkWorker job;
  std::vector<UniqueFd> none;
  LaunchedWorker::Events events = Events();
  ASSERT_TRUE(spare->Employ(job, none, events));
  // By the next zygote, which does the same.
  ASSERT_TRUE(RunUntil([&] { return started_.has_value(); }));
  EXPECT_OK(*started_);
  EXPECT_EQ(ends_, 0);
  ASSERT_TRUE(RunUntil([&] { return ends_ > 0; }));
}

}  // namespace
}  // namespace capbroker::broker
