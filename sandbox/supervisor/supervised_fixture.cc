#include "sandbox/supervisor/supervised_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"

namespace capbroker::sandbox {

Files::Files() {
  const char* temporary = getenv("TEST_TMPDIR");
  char real[PATH_MAX];
  if (realpath(temporary == nullptr ? "/tmp" : temporary, real) == nullptr) std::abort();
  std::string name = absl::StrCat(real, "/files.XXXXXX");
  if (mkdtemp(name.data()) == nullptr) std::abort();
  root_ = name;
  for (const char* directory : {"data", "data/sub", "other"}) {
    if (mkdir(Path(directory).c_str(), 0755) != 0) std::abort();
  }
  Write("data/hello", "hello\n");
  Write("data/sub/deep", "deep\n");
  Write("secret", "secret\n");
  Write("other/file", "other\n");
  const std::pair<std::string, const char*> links[] = {
      {"sub/deep", "data/link"},    {"sub/../hello", "data/around"},
      {"../secret", "data/out"},    {Path("data/hello"), "data/absolute"},
      {"../made", "data/dangling"}, {"sub", "data/sublink"},
  };
  for (const auto& [target, link] : links) {
    if (symlink(target.c_str(), Path(link).c_str()) != 0) std::abort();
  }
}

Files::~Files() {
  std::error_code ignored;
  std::filesystem::remove_all(root_, ignored);
}

void Files::Write(const std::string& relative, const std::string& content) const {
  std::ofstream(Path(relative)) << content;
}

std::string NameOf(const ::testing::TestParamInfo<Setting>& info) {
  if (info.param.most != DescriptorSight::kDuplicates) {
    return absl::StrCat("ByHandles", info.index);
  }
  return info.param.off.empty() ? "AllLayers" : absl::StrCat("Without", info.index);
}

void Faults::Expect(bool holds, const std::string& what) {
  if (!holds) absl::StrAppend(&text_, what, "\n");
}

void Faults::ExpectErrno(long result, int error_number, const std::string& what) {
  const int got = result < 0 ? errno : 0;
  if (got != error_number) {
    absl::StrAppend(&text_, what, ": errno ", got, " instead of ", error_number, "\n");
  }
}

absl::Duration RaceTime() {
  const char* seconds = getenv("RACE_SECONDS");
  return seconds == nullptr ? absl::Milliseconds(700) : absl::Seconds(std::atoi(seconds));
}

void ReadUntil(absl::Time deadline, Faults& faults, absl::FunctionRef<int()> open) {
  int found = 0;
  while (absl::Now() < deadline) {
    const int fd = open();
    if (fd < 0) continue;
    char content[16] = {};
    if (read(fd, content, sizeof content - 1) > 0) {
      ++found;
      if (std::strncmp(content, "inside", 6) != 0) {
        faults.Expect(false, absl::StrCat("read \"", content, "\""));
        return;
      }
    }
    close(fd);
  }
  faults.Expect(found > 0, "the race never let anything be read");
}

std::string RunSupervised(WorkerRunner& runner, std::vector<FileGrant> grants,
                          absl::FunctionRef<void(Faults&)> entry, std::vector<UniqueFd> handed,
                          Start start) {
  start.supervision.emplace().files = std::move(grants);
  int number = kHanded;
  for (UniqueFd& each : handed) start.descriptors.push_back({std::move(each), number++});
  RunningWorker worker = runner.Start(
      [&] {
        Faults faults;
        entry(faults);
        const std::string& text = faults.text();
        return write(kTether, text.data(), text.size()) == static_cast<ssize_t>(text.size()) ? 0
                                                                                             : 1;
      },
      std::move(start));
  std::string faults = ContentOf(worker.tether.get());
  const Story story = Collect(std::move(worker));
  if (story.exit_code() != 0) absl::StrAppend(&faults, story.text);
  return faults;
}

std::string ContentOf(int fd) {
  std::string content;
  char buffer[4096];
  ssize_t size;
  while ((size = read(fd, buffer, sizeof buffer)) > 0) content.append(buffer, size);
  return content;
}

std::string Content(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return absl::StrCat("errno ", errno);
  std::string content = ContentOf(fd);
  close(fd);
  return content;
}

}  // namespace capbroker::sandbox
