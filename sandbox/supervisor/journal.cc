#include "sandbox/supervisor/journal.h"

#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "sandbox/supervisor/granted_places.h"

namespace capbroker::sandbox {
namespace {

// Before they are forgotten: a worker with many names must not fill the supervisor.
constexpr size_t kMostRemembered = 4096;

}  // namespace

std::optional<JournalEntry> ParseJournalPacket(absl::string_view packet) {
  JournalEntry entry;
  if (packet.size() < sizeof entry.header || packet.size() > kLongestJournalPacket) {
    return std::nullopt;
  }
  std::memcpy(&entry.header, packet.data(), sizeof entry.header);
  entry.name = std::string(packet.substr(sizeof entry.header));
  return entry;
}

void Journal::Tell(int system_call, int error_number, bool refused,
                   const std::vector<NamedAccess>& asked) {
  if (!socket_.valid() || (!refused && !tells_allowed_)) return;
  JournalHeader header = {.system_call = system_call,
                          .error_number = error_number,
                          .refused = refused ? 1u : 0u,
                          .access = 0};
  if (refused) {
    if (!asked.empty()) header.access = asked.back().access;
    Write(header, asked.empty() ? absl::string_view() : asked.back().name);
    return;
  }
  for (const NamedAccess& needed : asked) {
    if (needed.implied) continue;
    header.access = needed.access;
    Write(header, needed.name);
  }
}

void Journal::Write(const JournalHeader& header, absl::string_view name) {
  std::string packet(reinterpret_cast<const char*>(&header), sizeof header);
  if (!name.empty()) {
    const bool host = (header.access & (kConnectHost | kListenAt)) != 0;
    packet.append(host ? std::string(name) : NormalName(name), 0, kLongestJournalName);
  }
  if (told_.size() >= kMostRemembered) told_.clear();
  if (!told_.insert(packet).second) return;
  while (send(socket_.get(), packet.data(), packet.size(), MSG_NOSIGNAL) < 0 && errno == EINTR) {
  }
}

}  // namespace capbroker::sandbox
