#include "serving/process/rehearsal.h"

#include <dirent.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "authority/keyed_hash.h"
#include "base/status_matchers.h"
#include "base/thread_count.h"
#include "capbroker/dns/v1/resolver.pb.h"
#include "gtest/gtest.h"
#include "serving/process/prepared_service.h"
#include "serving/service.h"

namespace capbroker::serving {
namespace {

ServiceDefinition Definition() {
  ServiceDefinition definition;
  definition.name = "resolver";
  definition.descriptor = dns::v1::ResolveRequest::descriptor()->file()->service(0);
  return definition;
}

// What `measure` gives in a forked child.
template <typename Measure>
long InChild(Measure measure) {
  int ends[2];
  EXPECT_EQ(pipe(ends), 0);
  const pid_t child = fork();
  if (child == 0) {
    const long measured = measure();
    _exit(write(ends[1], &measured, sizeof measured) == sizeof measured ? 0 : 1);
  }
  long measured = -1;
  EXPECT_EQ(read(ends[0], &measured, sizeof measured), static_cast<ssize_t>(sizeof measured));
  close(ends[0]);
  close(ends[1]);
  int status = 0;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  return measured;
}

// Of serving a family in a process that was just forked.
long PageFaults(const PreparedService& prepared) {
  return InChild([&] {
    rusage before, after;
    getrusage(RUSAGE_SELF, &before);
    const bool served = Rehearse(prepared).ok();
    getrusage(RUSAGE_SELF, &after);
    return served ? after.ru_minflt - before.ru_minflt : -1;
  });
}

int OpenDescriptors() {
  DIR* const directory = opendir("/proc/self/fd");
  int count = 0;
  while (readdir(directory) != nullptr) ++count;
  closedir(directory);
  return count;
}

// The first, because what was made once stays.
TEST(RehearsalTest, WhatIsForkedAfterwardsFindsMuchMade) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "the pages are the sanitizer's";
#endif
  const ServiceDefinition definition = Definition();
  ASSERT_OK_AND_ASSIGN(const PreparedService prepared, PreparedService::Prepare(definition));
  const long first = PageFaults(prepared);
  ASSERT_OK(Rehearse(prepared));
  const long next = PageFaults(prepared);
  EXPECT_GT(next, 0);
  EXPECT_LT(next, first - first / 5) << first;
}

TEST(RehearsalTest, LeavesNoDescriptorAndNoThread) {
  const ServiceDefinition definition = Definition();
  ASSERT_OK_AND_ASSIGN(const PreparedService prepared, PreparedService::Prepare(definition));
  const int before = OpenDescriptors();
  ASSERT_OK(Rehearse(prepared));
  EXPECT_EQ(OpenDescriptors(), before);
  ASSERT_OK_AND_ASSIGN(const bool single, IsSingleThreaded());
  EXPECT_TRUE(single);
}

TEST(RehearsalTest, LeavesItToEachProcessToDrawItsHashKey) {
  const ServiceDefinition definition = Definition();
  ASSERT_OK_AND_ASSIGN(const PreparedService prepared, PreparedService::Prepare(definition));
  ASSERT_OK(Rehearse(prepared));
  const auto key = [] { return static_cast<long>(authority::ProcessHashKey().low); };
  EXPECT_NE(InChild(key), InChild(key));
}

}  // namespace
}  // namespace capbroker::serving
