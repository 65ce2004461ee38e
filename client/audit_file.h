// An audit as a file of JSON lines, written as events come.
//
//   absl::StatusOr<std::unique_ptr<AuditFile>> file =
//       AuditFile::Start(*std::move(audit), "run.audit.jsonl", {});
//
// The file is bounded: at `max_bytes` it becomes `<path>.1`, in place of the one before, and a new
// one is begun. Events that a full disk did not take are counted, and the count is the
// first line (LEFT_OUT) that it takes again.
//
// Lives in: the application, on a thread of its own, so not before Broker::Start().
#ifndef CLIENT_AUDIT_FILE_H_
#define CLIENT_AUDIT_FILE_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/unique_fd.h"
#include "client/audit.h"

namespace capbroker {

struct AuditFileOptions {
  uint64_t max_bytes = 64u << 20;
};

class AuditFile {
 public:
  // Appends to `path`, which is created for its owner alone. What open(2) says.
  static absl::StatusOr<std::unique_ptr<AuditFile>> Start(Audit audit, const std::string& path,
                                                          AuditFileOptions options = {});
  // Writes what has happened until now.
  ~AuditFile();

  // The last error of writing; cleared by the next line that is written.
  bool failing() const { return left_out_.load() != 0; }

 private:
  AuditFile(Audit audit, std::string path, AuditFileOptions options, UniqueFd file, uint64_t size);
  void Run();
  bool WriteEvents(absl::Duration wait);
  void Write(const v1::AuditEvent& event);
  bool Append(absl::string_view line);
  void Rotate();

  Audit audit_;
  const std::string path_;
  const AuditFileOptions options_;
  UniqueFd file_;
  uint64_t size_;
  std::atomic<uint64_t> left_out_{0};
  std::atomic<bool> stopped_{false};
  std::thread thread_;
};

}  // namespace capbroker

#endif  // CLIENT_AUDIT_FILE_H_
