// A worker with grants in a test, and the files that it may and may not reach. Tests only.
#ifndef SANDBOX_SUPERVISOR_SUPERVISED_FIXTURE_H_
#define SANDBOX_SUPERVISOR_SUPERVISED_FIXTURE_H_

#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/time/time.h"
#include "base/file_grant.h"
#include "base/unique_fd.h"
#include "gtest/gtest.h"
#include "sandbox/layers/layers.h"
#include "sandbox/supervisor/descriptor_sight.h"
#include "sandbox/worker_runner.h"

namespace capbroker::sandbox {

// A new directory, removed at the end:
//
//   data/hello       "hello\n"          data/out      -> ../secret
//   data/sub/deep    "deep\n"           data/absolute -> <root>/data/hello
//   data/link        -> sub/deep        data/dangling -> ../made
//   data/around      -> sub/../hello    data/sublink  -> sub
//   secret           "secret\n"         other/file    "other\n"
class Files {
 public:
  Files();
  ~Files();
  Files(const Files&) = delete;
  Files& operator=(const Files&) = delete;

  const std::string& root() const { return root_; }
  std::string Path(const std::string& relative) const { return root_ + "/" + relative; }
  void Write(const std::string& relative, const std::string& content) const;

 private:
  std::string root_;
};

// What a test's workers and supervisors are made without.
struct Setting {
  LayerSet off;
  DescriptorSight most = DescriptorSight::kDuplicates;
};
inline constexpr LayerSet kNamespaces = {Layer::kUserNamespace, Layer::kMountNamespace,
                                         Layer::kPidNamespace};
// As in Docker's containers: root's supervisors have other ids for files than their workers, an
// ordinary user's the same.
inline constexpr Setting kHandles = {kNamespaces, DescriptorSight::kHandles};
inline constexpr Setting kHandlesOfOneUser = {kNamespaces.With(Layer::kUnprivilegedUid),
                                              DescriptorSight::kHandles};
// The name of a test's parameter.
std::string NameOf(const ::testing::TestParamInfo<Setting>& info);

// What went wrong in a worker, one line each. For use in the worker.
class Faults {
 public:
  void Expect(bool holds, const std::string& what);
  // `result` of a system call just made: an error of this number, or success for 0.
  void ExpectErrno(long result, int error_number, const std::string& what);
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

// The first number of what a worker is handed besides its grants.
inline constexpr int kHanded = 5;

// Runs `entry` in a forked worker with `grants`, which holds `handed`. Its faults, and anything
// about its end that is not an exit with 0; empty if all went well.
std::string RunSupervised(WorkerRunner& runner, std::vector<FileGrant> grants,
                          absl::FunctionRef<void(Faults&)> entry, std::vector<UniqueFd> handed = {},
                          Start start = {});

// How long each race is run. The long form says it in the environment.
absl::Duration RaceTime();
// Reads through `open` as fast as it can; only what begins with "inside" may ever come. For use in
// the worker.
void ReadUntil(absl::Time deadline, Faults& faults, absl::FunctionRef<int()> open);

// The content of the file, or "errno N".
std::string Content(const std::string& path);
std::string ContentOf(int fd);

}  // namespace capbroker::sandbox

#endif  // SANDBOX_SUPERVISOR_SUPERVISED_FIXTURE_H_
