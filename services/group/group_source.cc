#include "services/group/group_source.h"

#include <grp.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "base/status_macros.h"
#include "serving/succession.h"

namespace capbroker::group {
namespace {

constexpr size_t kFirstBufferBytes = 4096;
constexpr absl::Duration kCancelTick = absl::Milliseconds(50);

absl::Status SourceError(int error_number) {
  switch (error_number) {
    // What the C library and its modules say when there is no such entry.
    case ENOENT:
    case ESRCH:
      return absl::NotFoundError("no such group");
    case ERANGE:
      return absl::ResourceExhaustedError("group too large");
    case EMFILE:
    case ENFILE:
    case ENOMEM:
      return absl::ResourceExhaustedError("host out of resources");
    default:
      return absl::UnavailableError("group database does not answer");
  }
}

// The functions return the error; stand-ins for them return -1 and set errno, as a
// draft of POSIX had it.
int ErrorOf(int result) { return result == -1 ? errno : result; }

GroupRecord Copy(const struct group& found) {
  GroupRecord record = {.name = found.gr_name, .id = found.gr_gid, .members = {}};
  for (char** member = found.gr_mem; member != nullptr && *member != nullptr; ++member) {
    record.members.emplace_back(*member);
  }
  return record;
}

// A file that may not be read any more the C library takes for one without groups.
absl::Status CheckFiles() {
  return serving::FilesWereReplaced() ? absl::UnavailableError("the group file was replaced")
                                      : absl::OkStatus();
}

// Calls a function of the getgr*_r kind with buffers that grow to a bound.
absl::StatusOr<GroupRecord> Find(
    absl::FunctionRef<int(struct group*, char*, size_t, struct group**)> look_up) {
  CB_RETURN_IF_ERROR(CheckFiles());
  std::vector<char> buffer(kFirstBufferBytes);
  while (true) {
    struct group entry = {};
    struct group* found = nullptr;
    const int error = ErrorOf(look_up(&entry, buffer.data(), buffer.size(), &found));
    if (error == 0) {
      if (found == nullptr) return absl::NotFoundError("no such group");
      return Copy(*found);
    }
    if (error == EINTR) continue;
    if (error != ERANGE || buffer.size() >= kMaxGroupBytes) return SourceError(error);
    buffer.resize(std::min(buffer.size() * 4, kMaxGroupBytes));
  }
}

// Whose turn it is to enumerate.
struct Enumeration {
  absl::Mutex mutex;
  bool running ABSL_GUARDED_BY(mutex) = false;
};

Enumeration& enumeration() {
  static auto* const instance = new Enumeration;
  return *instance;
}

// The cursor of setgrent(3), which the process has one of.
class Cursor {
 public:
  Cursor() { setgrent(); }
  ~Cursor() {
    endgrent();
    Enumeration& turn = enumeration();
    absl::MutexLock lock(&turn.mutex);
    turn.running = false;
  }
  Cursor(const Cursor&) = delete;
  Cursor& operator=(const Cursor&) = delete;
};

absl::Status TakeTurn(absl::FunctionRef<bool()> cancelled) {
  Enumeration& turn = enumeration();
  absl::MutexLock lock(&turn.mutex);
  const auto is_free = [&turn] {
    turn.mutex.AssertHeld();
    return !turn.running;
  };
  while (!turn.mutex.AwaitWithTimeout(absl::Condition(&is_free), kCancelTick)) {
    if (cancelled()) return absl::CancelledError("cancelled");
  }
  turn.running = true;
  return absl::OkStatus();
}

}  // namespace

void LoadGroupSources() { (void)FindGroupById(0); }

absl::StatusOr<GroupRecord> FindGroupByName(const std::string& name) {
  return Find([&name](struct group* entry, char* buffer, size_t size, struct group** found) {
    return getgrnam_r(name.c_str(), entry, buffer, size, found);
  });
}

absl::StatusOr<GroupRecord> FindGroupById(uint32_t id) {
  return Find([id](struct group* entry, char* buffer, size_t size, struct group** found) {
    return getgrgid_r(id, entry, buffer, size, found);
  });
}

absl::Status VisitGroups(absl::FunctionRef<bool()> cancelled,
                         absl::FunctionRef<bool(GroupRecord)> visit) {
  CB_RETURN_IF_ERROR(CheckFiles());
  if (absl::Status turn = TakeTurn(cancelled); !turn.ok()) return turn;
  const Cursor cursor;
  // The largest at once: after ERANGE some sources go on with the next entry.
  std::vector<char> buffer(kMaxGroupBytes);
  while (true) {
    struct group entry = {};
    struct group* found = nullptr;
    const int error = ErrorOf(getgrent_r(&entry, buffer.data(), buffer.size(), &found));
    if (error == EINTR) continue;
    if (error == ENOENT || (error == 0 && found == nullptr)) return absl::OkStatus();
    if (error != 0) return SourceError(error);
    if (!visit(Copy(*found))) return absl::OkStatus();
  }
}

}  // namespace capbroker::group
