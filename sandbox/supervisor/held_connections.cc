#include "sandbox/supervisor/held_connections.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>

#include <algorithm>
#include <utility>

#include "sandbox/supervisor/worker_descriptors.h"

namespace capbroker::sandbox {
namespace {

// Milliseconds. A short connection ends soon, a long one costs little.
constexpr int64_t kFirstLook = 50;
constexpr int64_t kLastInterval = 1600;
// From here on every new one makes it look.
constexpr size_t kScarce = 32;

int64_t Now() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return int64_t{now.tv_sec} * 1000 + now.tv_nsec / 1'000'000;
}

uint64_t InodeOf(FdRef socket) {
  struct stat status = {};
  return fstat(socket.get(), &status) == 0 ? status.st_ino : 0;
}

}  // namespace

bool HeldConnections::HasRoom() {
  if (held_.size() >= kScarce) Look();
  return held_.size() < kMost;
}

void HeldConnections::Add(UniqueFd connection) {
  const uint64_t inode = InodeOf(connection);
  held_[inode].connection = std::move(connection);
  interval_ = kFirstLook;
  next_look_ = Now() + interval_;
}

bool HeldConnections::Has(FdRef connection) const { return held_.count(InodeOf(connection)) != 0; }

int HeldConnections::Timeout() const {
  if (held_.empty()) return -1;
  return static_cast<int>(std::clamp<int64_t>(next_look_ - Now(), 0, kLastInterval));
}

void HeldConnections::LookIfDue() {
  if (held_.empty() || Now() < next_look_) return;
  Look();
  interval_ = std::min(interval_ * 2, kLastInterval);
  next_look_ = Now() + interval_;
}

std::vector<pid_t> HeldConnections::Processes() {
  std::vector<pid_t> processes;
  std::erase_if(callers_, [&processes](pid_t caller) {
    if (!HaveTheSameDescriptors(caller, caller)) return true;  // it has ended
    const auto same = [caller](pid_t other) { return HaveTheSameDescriptors(caller, other); };
    if (std::none_of(processes.begin(), processes.end(), same)) processes.push_back(caller);
    return false;
  });
  return processes;
}

std::set<uint64_t> HeldConnections::Present() {
  std::set<uint64_t> present;
  for (const pid_t process : Processes()) {
    LookAtDescriptors(process, highest_descriptor_,
                      [&present](FdRef descriptor) { present.insert(InodeOf(descriptor)); });
  }
  return present;
}

void HeldConnections::Look() {
  const std::set<uint64_t> present = Present();
  const int64_t now = Now();
  for (auto entry = held_.begin(); entry != held_.end();) {
    Held& held = entry->second;
    const bool missing = present.count(entry->first) == 0;
    if (!missing || held.missing_since == 0) held.missing_since = missing ? now : 0;
    if (!missing || now - held.missing_since < patience_) {
      ++entry;
      continue;
    }
    shutdown(held.connection.get(), SHUT_RDWR);
    entry = held_.erase(entry);
  }
}

}  // namespace capbroker::sandbox
