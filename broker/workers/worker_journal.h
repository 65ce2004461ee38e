// Turns what a worker's supervisor tells (sandbox/supervisor/journal.h) into audit events.
//
// Lives in: the broker, on its one thread.
#ifndef BROKER_WORKERS_WORKER_JOURNAL_H_
#define BROKER_WORKERS_WORKER_JOURNAL_H_

#include <cstdint>
#include <memory>

#include "absl/status/statusor.h"
#include "base/unique_fd.h"
#include "broker/families/incarnation.h"
#include "sandbox/supervisor/journal.h"

namespace capbroker::broker {

class WorkerJournal {
 public:
  // `supervisors_end` is set to the socket that the supervisor writes to.
  static absl::StatusOr<std::unique_ptr<WorkerJournal>> Start(const BrokerParts& parts,
                                                              uint64_t worker,
                                                              UniqueFd& supervisors_end);
  // Reads what is left.
  ~WorkerJournal();

 private:
  WorkerJournal(const BrokerParts& parts, uint64_t worker, UniqueFd socket)
      : parts_(parts), worker_(worker), socket_(std::move(socket)) {}
  // At most `most` entries; whether there may be more.
  bool Read(int most);
  void Record(const sandbox::JournalEntry& entry);

  const BrokerParts parts_;
  const uint64_t worker_;
  const UniqueFd socket_;
  uint64_t watch_ = 0;
  uint32_t allowed_ = 0;
};

}  // namespace capbroker::broker

#endif  // BROKER_WORKERS_WORKER_JOURNAL_H_
