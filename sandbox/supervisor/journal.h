// What a supervised worker named, and what it was told: for audits, and for people who look for the
// grant that is missing.
//
// Each packet is a JournalHeader and the name. Of the same call with the same name and
// outcome the first is told; of many different ones some again.
//
// TRUST(worker): names are the worker's, whatever they hold. A supervisor that was taken over
// writes what it likes: nothing is decided by a journal.
#ifndef SANDBOX_SUPERVISOR_JOURNAL_H_
#define SANDBOX_SUPERVISOR_JOURNAL_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "base/unique_fd.h"

namespace capbroker::sandbox {

struct JournalHeader {
  int32_t system_call = 0;
  int32_t error_number = 0;  // what the worker was told; 0: it was done
  uint32_t refused = 0;      // 1: because it was not granted
  uint32_t access = 0;       // FileAccess, 0: looked at; kConnectHost, kListenAt
};

struct JournalEntry {
  JournalHeader header;
  std::string name;  // absolute, if a path; empty: a directory that the worker was not given here
};

// Longer names are cut.
inline constexpr size_t kLongestJournalName = 4096;
inline constexpr size_t kLongestJournalPacket = sizeof(JournalHeader) + kLongestJournalName;

// Nothing if no supervisor can have written it.
std::optional<JournalEntry> ParseJournalPacket(absl::string_view packet);

// A name that a call needs, and what for.
struct NamedAccess {
  std::string name;
  unsigned access = 0;   // FileAccess, or kConnectHost, or kListenAt
  bool implied = false;  // every program may: told only if it was refused
};
// The name is that of a host that was asked for ("example.org"), or of one that was to be connected
// to ("192.0.2.1:443"), and not a path.
inline constexpr unsigned kConnectHost = 1u << 16;
// An address and a port of this host, to be a server at ("127.0.0.1:8080", "*:8080").
inline constexpr unsigned kListenAt = 1u << 17;

// Lives in: the supervisor.
class Journal {
 public:
  // Without a socket nothing is told.
  Journal(FdRef socket, bool tells_allowed) : socket_(socket), tells_allowed_(tells_allowed) {}

  // One call, with all that it needed: of a refused one the last is what was refused. Waits for
  // the reader.
  void Tell(int system_call, int error_number, bool refused, const std::vector<NamedAccess>& asked);

 private:
  void Write(const JournalHeader& header, absl::string_view name);

  const FdRef socket_;
  const bool tells_allowed_;
  std::set<std::string> told_;
};

}  // namespace capbroker::sandbox

#endif  // SANDBOX_SUPERVISOR_JOURNAL_H_
