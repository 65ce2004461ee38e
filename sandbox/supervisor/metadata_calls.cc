#include "sandbox/supervisor/metadata_calls.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "base/file_grant.h"
#include "base/open_how.h"
#include "base/unique_fd.h"
#include "sandbox/supervisor/worker_memory.h"
#include "sandbox/table/system_calls.h"

namespace capbroker::sandbox {
namespace {

int Descriptor(uint64_t argument) { return static_cast<int>(static_cast<uint32_t>(argument)); }

bool Follows(uint64_t flags) { return (flags & AT_SYMLINK_NOFOLLOW) == 0; }

Answer Done(int result) { return result == 0 ? Result(0) : Failure(errno); }

}  // namespace

MetadataCalls::MetadataCalls(GrantedNames& names, uint64_t largest_file)
    : names_(names), largest_file_(largest_file) {
  for (const Named& named : Methods()) {
    const std::optional<int> number = SystemCallNumber(named.name, kNativeArchitecture);
    if (number.has_value()) methods_[*number] = named.method;
  }
}

const std::vector<MetadataCalls::Named>& MetadataCalls::Methods() {
  static const std::vector<Named>* const methods = new std::vector<Named>{
      {"chmod", &MetadataCalls::OnChmod},         {"fchmod", &MetadataCalls::OnFchmod},
      {"fchmodat", &MetadataCalls::OnFchmodat},   {"fchmodat2", &MetadataCalls::OnFchmodat2},
      {"chown", &MetadataCalls::OnChown},         {"lchown", &MetadataCalls::OnLchown},
      {"fchown", &MetadataCalls::OnFchown},       {"fchownat", &MetadataCalls::OnFchownat},
      {"utimensat", &MetadataCalls::OnUtimensat}, {"ftruncate", &MetadataCalls::OnFtruncate},
      {"fallocate", &MetadataCalls::OnFallocate},
  };
  return *methods;
}

std::vector<std::string> MetadataCalls::Names() {
  std::vector<std::string> names;
  for (const Named& named : Methods()) names.push_back(named.name);
  return names;
}

std::optional<Answer> MetadataCalls::AnswerTo(const Notification& call) {
  const auto method = methods_.find(call.call().nr);
  if (method == methods_.end()) return std::nullopt;
  return (this->*method->second)(call);
}

// INVARIANT(beneath-means-beneath): opened like any other file.
Object MetadataCalls::Open(const Notification& call, const PathArgument& argument, bool follow) {
  Object object;
  const PathRead read = names_.Read(call, argument);
  object.error_number = read.error_number;
  if (read.error_number != 0) return object;
  if (read.empty) return Held(call, argument.directory);
  // Not by O_PATH, of which older kernels change nothing.
  return names_.Open(read.Name(), kCreateFiles,
                     {.flags = O_RDONLY | O_NONBLOCK | (follow ? 0 : uint64_t{O_NOFOLLOW})});
}

Object MetadataCalls::Held(const Notification& call, int descriptor) {
  return names_.OpenHeld(call.thread(), descriptor, kCreateFiles);
}

Answer MetadataCalls::SetMode(Object object, uint64_t mode) {
  if (object.error_number != 0) return Failure(object.error_number);
  // As for what it creates: not more than the permissions.
  return Done(fchmod(object.fd.get(), static_cast<mode_t>(mode & 0777)));
}

Answer MetadataCalls::SetOwner(Object object, uint64_t user, uint64_t group) {
  if (object.error_number != 0) return Failure(object.error_number);
  struct stat status;
  if (fstat(object.fd.get(), &status) != 0) return Failure(errno);
  const auto stays = [](uint64_t stated, uint32_t present) {
    return static_cast<uint32_t>(stated) == present ||
           static_cast<uint32_t>(stated) == ~uint32_t{0};
  };
  return stays(user, status.st_uid) && stays(group, status.st_gid) ? Result(0) : Failure(EPERM);
}

Answer MetadataCalls::SetTimes(Object object, const timespec times[2]) {
  if (object.error_number != 0) return Failure(object.error_number);
  return Done(futimens(object.fd.get(), times));
}

Answer MetadataCalls::OnChmod(const Notification& call) {
  return SetMode(Open(call, {AT_FDCWD, call.argument(0)}, true), call.argument(1));
}

Answer MetadataCalls::OnFchmod(const Notification& call) {
  return SetMode(Held(call, Descriptor(call.argument(0))), call.argument(1));
}

Answer MetadataCalls::OnFchmodat(const Notification& call) {
  return SetMode(Open(call, {Descriptor(call.argument(0)), call.argument(1)}, true),
                 call.argument(2));
}

Answer MetadataCalls::OnFchmodat2(const Notification& call) {
  const uint64_t flags = static_cast<uint32_t>(call.argument(3));
  if ((flags & ~uint64_t{AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH}) != 0) return Failure(EINVAL);
  const PathArgument argument = {Descriptor(call.argument(0)), call.argument(1),
                                 (flags & AT_EMPTY_PATH) != 0};
  return SetMode(Open(call, argument, Follows(flags)), call.argument(2));
}

Answer MetadataCalls::OnChown(const Notification& call) {
  return SetOwner(Open(call, {AT_FDCWD, call.argument(0)}, true), call.argument(1),
                  call.argument(2));
}

Answer MetadataCalls::OnLchown(const Notification& call) {
  return SetOwner(Open(call, {AT_FDCWD, call.argument(0)}, false), call.argument(1),
                  call.argument(2));
}

Answer MetadataCalls::OnFchown(const Notification& call) {
  return SetOwner(Held(call, Descriptor(call.argument(0))), call.argument(1), call.argument(2));
}

Answer MetadataCalls::OnFchownat(const Notification& call) {
  const uint64_t flags = static_cast<uint32_t>(call.argument(4));
  if ((flags & ~uint64_t{AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH}) != 0) return Failure(EINVAL);
  const PathArgument argument = {Descriptor(call.argument(0)), call.argument(1),
                                 (flags & AT_EMPTY_PATH) != 0};
  return SetOwner(Open(call, argument, Follows(flags)), call.argument(2), call.argument(3));
}

Answer MetadataCalls::OnUtimensat(const Notification& call) {
  timespec times[2] = {{0, UTIME_NOW}, {0, UTIME_NOW}};
  if (call.argument(2) != 0) {
    const int error = WorkerMemory(call.thread()).Read(call.argument(2), times, sizeof times);
    if (error != 0) return Failure(error);
  }
  const uint64_t flags = static_cast<uint32_t>(call.argument(3));
  if ((flags & ~uint64_t{AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH}) != 0) return Failure(EINVAL);
  const int directory = Descriptor(call.argument(0));
  // Without a path it is the descriptor that is meant.
  return SetTimes(
      call.argument(1) == 0
          ? Held(call, directory)
          : Open(call, {directory, call.argument(1), (flags & AT_EMPTY_PATH) != 0}, Follows(flags)),
      times);
}

Answer MetadataCalls::OnFtruncate(const Notification& call) {
  const auto size = static_cast<int64_t>(call.argument(1));
  if (size < 0) return Failure(EINVAL);
  if (static_cast<uint64_t>(size) > largest_file_) return Failure(EFBIG);
  const Object file = names_.OpenWritable(call.thread(), Descriptor(call.argument(0)));
  if (!file.fd.valid()) return Failure(file.error_number);
  return Done(ftruncate(file.fd.get(), size));
}

Answer MetadataCalls::OnFallocate(const Notification& call) {
  const auto start = static_cast<int64_t>(call.argument(2));
  const auto size = static_cast<int64_t>(call.argument(3));
  int64_t end = 0;
  if (start < 0 || size <= 0 || __builtin_add_overflow(start, size, &end)) return Failure(EINVAL);
  if (static_cast<uint64_t>(end) > largest_file_) return Failure(EFBIG);
  const Object file = names_.OpenWritable(call.thread(), Descriptor(call.argument(0)));
  if (!file.fd.valid()) return Failure(file.error_number);
  return Done(fallocate(file.fd.get(), Descriptor(call.argument(1)), start, size));
}

}  // namespace capbroker::sandbox
