#include "sandbox/supervisor/held_connections.h"

#include <sys/socket.h>
#include <time.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "sandbox/supervisor/worker_descriptors.h"

namespace capbroker::sandbox {
namespace {

// Milliseconds. A short connection ends soon, a long one costs little.
constexpr int64_t kFirstLook = 50;
constexpr int64_t kLastInterval = 1600;
// From here on every new one makes it look.
constexpr size_t kScarce = 32;
constexpr pid_t kBeyond = 256;

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
  held_[inode] = std::move(connection);
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

void HeldConnections::LookInto(pid_t process, std::set<uint64_t>& present) const {
  if (!IsProcess(process)) return;
  for (int descriptor = 0; descriptor <= highest_descriptor_; ++descriptor) {
    const Opened duplicate = DuplicateFrom(process, descriptor);
    if (duplicate.error_number == ESRCH) return;
    if (duplicate.fd.valid()) present.insert(InodeOf(duplicate.fd));
  }
}

void HeldConnections::Look() {
  std::set<uint64_t> present;
  // Children that have asked for nothing yet have higher numbers than whoever has.
  const pid_t last = processes_ ? highest_thread_ + kBeyond : worker_;
  for (pid_t process = worker_; process <= last; ++process) LookInto(process, present);
  std::erase_if(held_, [&present](const auto& entry) {
    if (present.count(entry.first) != 0) return false;
    shutdown(entry.second.get(), SHUT_RDWR);
    return true;
  });
}

}  // namespace capbroker::sandbox
