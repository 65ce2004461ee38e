#include "broker/workers/worker_journal.h"

#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <cerrno>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/errno_status.h"
#include "base/file_grant.h"
#include "base/status_macros.h"
#include "capbroker/v1/audit.pb.h"
#include "sandbox/table/system_calls.h"

namespace capbroker::broker {
namespace {

constexpr int kMostInATurn = 64;
// What is in the socket at a worker's end; a socket holds no more.
constexpr int kMostAtTheEnd = 4096;

std::vector<std::string> Fields(unsigned access) {
  if ((access & sandbox::kConnectHost) != 0) return {"connections"};
  if ((access & sandbox::kListenAt) != 0) return {"listeners"};
  std::vector<std::string> fields;
  if ((access & kReadFiles) != 0) fields.push_back("files.read");
  if ((access & kWriteFiles) != 0) fields.push_back("files.write");
  if ((access & kCreateFiles) != 0) fields.push_back("files.create");
  if (fields.empty()) fields.push_back("files.look");
  return fields;
}

void AddValue(const std::string& field, const std::string& name, v1::AuditEvent& event) {
  v1::AuditEvent::Value* const value = event.add_values();
  value->set_field(field);
  value->set_value(name);
}

}  // namespace

absl::StatusOr<std::unique_ptr<WorkerJournal>> WorkerJournal::Start(const BrokerParts& parts,
                                                                    uint64_t worker,
                                                                    UniqueFd& supervisors_end) {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) {
    return ErrnoToStatus(errno, "launch worker: journal");
  }
  supervisors_end.Reset(ends[1]);
  std::unique_ptr<WorkerJournal> journal(new WorkerJournal(parts, worker, UniqueFd(ends[0])));
  const auto read = [raw = journal.get()](uint32_t) {
    return raw->Read(kMostInATurn) ? serving::Left::kMaybeMore : serving::Left::kNothing;
  };
  CB_ASSIGN_OR_RETURN(journal->watch_,
                      parts.loop->Add(journal->socket_, EPOLLIN | EPOLLRDHUP, read));
  return journal;
}

WorkerJournal::~WorkerJournal() {
  if (watch_ == 0) return;
  (void)Read(kMostAtTheEnd);
  parts_.loop->Remove(watch_, socket_);
}

bool WorkerJournal::Read(int most) {
  char packet[sandbox::kLongestJournalPacket + 1];
  for (int i = 0; i < most; ++i) {
    const ssize_t got = recv(socket_.get(), packet, sizeof packet, MSG_DONTWAIT);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return false;
    const std::optional<sandbox::JournalEntry> entry =
        sandbox::ParseJournalPacket(absl::string_view(packet, static_cast<size_t>(got)));
    if (entry.has_value()) Record(*entry);
  }
  return true;
}

// TRUST(worker): the trail escapes, cuts and bounds what it is given.
void WorkerJournal::Record(const sandbox::JournalEntry& entry) {
  const v1::AuditSettings* const settings = parts_.audit->settings();
  if (settings == nullptr) return;
  v1::AuditEvent event;
  event.set_method(sandbox::SystemCallName(entry.header.system_call));
  if (entry.header.error_number != 0) {
    const char* const name = strerrorname_np(entry.header.error_number);
    if (name != nullptr) event.set_text(name);
  }
  const std::vector<std::string> fields = Fields(entry.header.access);
  if (settings->learn() && entry.header.error_number == 0) {
    for (const std::string& field : fields) {
      v1::AuditEvent learned = event;
      learned.set_kind(v1::AuditEvent::LEARNED);
      AddValue(field, entry.name, learned);
      parts_.audit->ReportNamed(worker_, std::move(learned));
    }
  }
  for (const std::string& field : fields) AddValue(field, entry.name, event);
  if (entry.header.refused != 0) {
    event.set_kind(v1::AuditEvent::DENIED);
    event.set_reason(v1::Denial::NOT_IN_LIMITS);
  } else {
    const uint32_t one_in = settings->allowed_one_in();
    if (one_in == 0 || allowed_++ % one_in != 0) return;
    event.set_kind(v1::AuditEvent::ALLOWED);
  }
  parts_.audit->ReportNamed(worker_, std::move(event));
}

}  // namespace capbroker::broker
