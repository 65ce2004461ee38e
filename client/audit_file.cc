#include "client/audit_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/errno_status.h"
#include "base/status_macros.h"
#include "client/audit_json.h"

namespace capbroker {
namespace {

// How soon a stop is noticed.
constexpr absl::Duration kWait = absl::Milliseconds(200);

UniqueFd OpenLog(const std::string& path) {
  return UniqueFd(
      open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY | O_NOFOLLOW, 0600));
}

}  // namespace

absl::StatusOr<std::unique_ptr<AuditFile>> AuditFile::Start(Audit audit, const std::string& path,
                                                            AuditFileOptions options) {
  UniqueFd file = OpenLog(path);
  if (!file.valid()) return ErrnoToStatus(errno, absl::StrCat("open ", path));
  struct stat status = {};
  if (fstat(file.get(), &status) != 0) return ErrnoToStatus(errno, absl::StrCat("open ", path));
  return std::unique_ptr<AuditFile>(new AuditFile(std::move(audit), path, options, std::move(file),
                                                  static_cast<uint64_t>(status.st_size)));
}

AuditFile::AuditFile(Audit audit, std::string path, AuditFileOptions options, UniqueFd file,
                     uint64_t size)
    : audit_(std::move(audit)),
      path_(std::move(path)),
      options_(options),
      file_(std::move(file)),
      size_(size),
      thread_([this] { Run(); }) {}

AuditFile::~AuditFile() {
  stopped_.store(true);
  thread_.join();
}

void AuditFile::Run() {
  while (!stopped_.load()) {
    if (!WriteEvents(kWait)) return;
  }
  // Two more: service processes tell what they have a moment later.
  if (WriteEvents(kWait)) (void)WriteEvents(absl::ZeroDuration());
}

bool AuditFile::WriteEvents(absl::Duration wait) {
  const absl::StatusOr<std::vector<v1::AuditEvent>> events = audit_.Next(wait);
  if (!events.ok()) return false;
  for (const v1::AuditEvent& event : *events) Write(event);
  return true;
}

void AuditFile::Write(const v1::AuditEvent& event) {
  if (const uint64_t left_out = left_out_.load(); left_out != 0) {
    v1::AuditEvent missing;
    missing.set_kind(v1::AuditEvent::LEFT_OUT);
    missing.set_count(left_out);
    missing.set_sequence(event.sequence());
    missing.set_text("the file could not be written");
    if (!Append(ToJsonLine(missing))) {
      left_out_.fetch_add(1);
      return;
    }
    left_out_.store(0);
  }
  if (!Append(ToJsonLine(event))) left_out_.fetch_add(1);
}

// A line is written as a whole or taken back.
bool AuditFile::Append(absl::string_view line) {
  const std::string bytes = absl::StrCat(line, "\n");
  if (size_ != 0 && size_ + bytes.size() > options_.max_bytes) Rotate();
  ssize_t written;
  do {
    written = write(file_.get(), bytes.data(), bytes.size());
  } while (written < 0 && errno == EINTR);
  if (written == static_cast<ssize_t>(bytes.size())) {
    size_ += bytes.size();
    return true;
  }
  if (written > 0) (void)!ftruncate(file_.get(), static_cast<off_t>(size_));
  return false;
}

void AuditFile::Rotate() {
  if (rename(path_.c_str(), absl::StrCat(path_, ".1").c_str()) != 0) return;
  UniqueFd next = OpenLog(path_);
  if (!next.valid()) return;
  file_ = std::move(next);
  size_ = 0;
}

}  // namespace capbroker
