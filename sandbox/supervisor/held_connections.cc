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
// Of a process that is not found, milliseconds.
constexpr int64_t kPatience = 1000;
// Numbers of processes that are tried, and how far above those that have called: of children that
// call nothing.
constexpr pid_t kMostNumbers = 16384, kAbove = 256;
constexpr pid_t kFirstOfWorker = 3;  // after the init and the supervisor
constexpr size_t kManyCallers = 1024;

int64_t Now() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return int64_t{now.tv_sec} * 1000 + now.tv_nsec / 1'000'000;
}

bool HasEnded(pid_t thread) { return !HaveTheSameDescriptors(thread, thread); }

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

void HeldConnections::NoteCaller(pid_t thread) {
  callers_.insert(thread);
  highest_caller_ = std::max(highest_caller_, thread);
  if (callers_.size() > kManyCallers) std::erase_if(callers_, &HasEnded);
}

bool HeldConnections::FindsAll() const { return !processes_ || highest_caller_ < kMostNumbers; }

std::vector<pid_t> HeldConnections::Processes() {
  std::vector<pid_t> processes;
  const auto add = [&processes](pid_t thread) {
    const auto same = [thread](pid_t other) { return HaveTheSameDescriptors(thread, other); };
    if (std::none_of(processes.begin(), processes.end(), same)) processes.push_back(thread);
  };
  if (processes_ && FindsAll()) {
    // From below: who has a connection from its parent has the higher number.
    for (pid_t thread = kFirstOfWorker; thread < highest_caller_ + kAbove; ++thread) {
      if (!HasEnded(thread)) add(thread);
    }
    return processes;
  }
  std::erase_if(callers_, &HasEnded);
  for (const pid_t thread : callers_) add(thread);
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
  const int64_t now = Now(), patience = FindsAll() ? 0 : kPatience;
  for (auto entry = held_.begin(); entry != held_.end();) {
    Held& held = entry->second;
    const bool missing = present.count(entry->first) == 0;
    if (!missing || held.missing_since == 0) held.missing_since = missing ? now : 0;
    if (!missing || now - held.missing_since < patience) {
      ++entry;
      continue;
    }
    shutdown(held.connection.get(), SHUT_RDWR);
    entry = held_.erase(entry);
  }
}

}  // namespace capbroker::sandbox
