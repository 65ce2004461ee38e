#include "client/grants.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/unique_fd.h"
#include "capbroker/v1/broker.pb.h"
#include "client/worker_birth.h"

namespace capbroker {
namespace {

// Whether `fd` could be a birth message, before anything is read or closed: the
// program may have been started by somebody else, with files of its own.
bool CouldBeBirth(int fd) {
  struct stat status;
  return fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && status.st_nlink == 0 &&
         status.st_size > 0 && static_cast<size_t>(status.st_size) <= kMaxBirthSize;
}

std::string ReadFromStart(int fd) {
  std::string content;
  char buffer[4096];
  while (true) {
    const ssize_t got = pread(fd, buffer, sizeof buffer, static_cast<off_t>(content.size()));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return content;
    content.append(buffer, static_cast<size_t>(got));
  }
}

}  // namespace

absl::StatusOr<Grants> Grants::FromEnvironment() {
  v1::WorkerBirth birth;
  if (!CouldBeBirth(kBirthDescriptor) || !birth.ParseFromString(ReadFromStart(kBirthDescriptor)) ||
      birth.magic() != kBirthMagic) {
    return absl::FailedPreconditionError(
        "take grants: this process was not started as a worker, or has taken them");
  }
  UniqueFd(kBirthDescriptor).Reset();
  Grants grants;
  int number = kBirthDescriptor;
  for (const std::string& name : birth.names()) {
    // INVARIANT(one-holder-per-end): the broker made this end for this process.
    grants.channels_.emplace(name, std::make_shared<capbroker::Channel>(UniqueFd(++number)));
  }
  grants.input_ = std::move(*birth.mutable_input());
  return grants;
}

absl::StatusOr<std::shared_ptr<Channel>> Grants::Channel(absl::string_view name) const {
  const auto found = channels_.find(name);
  if (found == channels_.end()) {
    return absl::NotFoundError(absl::StrCat("grant \"", name, "\": this worker has none"));
  }
  return found->second;
}

std::shared_ptr<Channel> Grants::ChannelOrClosed(absl::string_view name) const {
  absl::StatusOr<std::shared_ptr<capbroker::Channel>> granted = Channel(name);
  if (granted.ok()) return *std::move(granted);
  auto closed = std::make_shared<capbroker::Channel>(UniqueFd());
  closed->Close();
  return closed;
}

std::vector<std::string> Grants::names() const {
  std::vector<std::string> names;
  for (const auto& [name, channel] : channels_) names.push_back(name);
  return names;
}

}  // namespace capbroker
