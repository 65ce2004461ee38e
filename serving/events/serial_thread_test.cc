#include "serving/events/serial_thread.h"

#include <memory>
#include <thread>
#include <vector>

#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "base/status_matchers.h"
#include "gtest/gtest.h"

namespace capbroker::serving {
namespace {

TEST(SerialThreadTest, RunsStepsOneAfterAnotherInTheirOrder) {
  ASSERT_OK_AND_ASSIGN(const std::unique_ptr<SerialThread> thread, SerialThread::Start());
  std::vector<int> ran;  // unguarded: by that thread alone
  absl::Notification done;
  for (int i = 0; i < 100; ++i) thread->Run([&ran, i] { ran.push_back(i); });
  thread->Run([&done] { done.Notify(); });
  done.WaitForNotification();
  ASSERT_EQ(ran.size(), 100u);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(ran[static_cast<size_t>(i)], i);
}

TEST(SerialThreadTest, EndsAfterTheStepThatRunsAndDropsTheOthers) {
  ASSERT_OK_AND_ASSIGN(std::unique_ptr<SerialThread> thread, SerialThread::Start());
  absl::Notification started;
  bool finished = false;
  bool dropped = true;
  thread->Run([&] {
    started.Notify();
    absl::SleepFor(absl::Milliseconds(50));
    finished = true;
  });
  thread->Run([&] { dropped = false; });
  started.WaitForNotification();
  thread.reset();
  EXPECT_TRUE(finished);
  EXPECT_TRUE(dropped);
}

}  // namespace
}  // namespace capbroker::serving
