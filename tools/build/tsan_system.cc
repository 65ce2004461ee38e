// What ThreadSanitizer has to know of Debian's libraries; for --config=tsan
// alone, which links this into every program.
//
// The shared Abseil is not instrumented, so ThreadSanitizer does not see its
// locks and would report everything that they guard. The definitions of
// absl::Mutex and absl::CondVar here stand in the program, in front of the
// shared library's; each tells ThreadSanitizer and calls the library's own.
//
// gRPC also synchronises with atomics that ThreadSanitizer cannot see. Reports
// with a frame of gRPC's are dropped, so a race between handlers on the wire is
// not found; the same handlers on the lane are looked at.

#include <dlfcn.h>
#include <sanitizer/tsan_interface.h>

#include <cstdlib>

#include "absl/base/options.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

namespace {

#define TSAN_TEXT_OF(name) #name
#define TSAN_TEXT(name) TSAN_TEXT_OF(name)

constexpr unsigned kRead = __tsan_mutex_read_lock;
constexpr unsigned kTry = __tsan_mutex_try_lock;

// Some of the library's functions call others of them: only the outermost call
// is told.
thread_local int depth = 0;

// Where the library has the function of this mangled name.
void* Next(const char* symbol) {
  void* const function = dlsym(RTLD_NEXT, symbol);
  if (function == nullptr) std::abort();
  return function;
}

constexpr int Length(const char* text) { return *text == '\0' ? 0 : 1 + Length(text + 1); }
static_assert(Length(TSAN_TEXT(ABSL_OPTION_INLINE_NAMESPACE_NAME)) == 7,
              "the mangled names below spell the length of Abseil's inline namespace");

#define NS "N4absl7" TSAN_TEXT(ABSL_OPTION_INLINE_NAMESPACE_NAME)

class Locking {
 public:
  Locking(void* mutex, unsigned flags) : mutex_(mutex), flags_(flags) {
    if (depth++ == 0) __tsan_mutex_pre_lock(mutex_, flags_);
  }
  ~Locking() {
    if (--depth == 0)
      __tsan_mutex_post_lock(mutex_, flags_ | (failed_ ? __tsan_mutex_try_lock_failed : 0), 0);
  }
  Locking(const Locking&) = delete;
  Locking& operator=(const Locking&) = delete;

  bool Tried(bool locked) {
    failed_ = !locked;
    return locked;
  }

 private:
  void* const mutex_;
  const unsigned flags_;
  bool failed_ = false;
};

class Unlocking {
 public:
  Unlocking(void* mutex, unsigned flags) : mutex_(mutex), flags_(flags) {
    if (depth++ == 0) __tsan_mutex_pre_unlock(mutex_, flags_);
  }
  ~Unlocking() {
    if (--depth == 0) __tsan_mutex_post_unlock(mutex_, flags_);
  }
  Unlocking(const Unlocking&) = delete;
  Unlocking& operator=(const Unlocking&) = delete;

 private:
  void* const mutex_;
  const unsigned flags_;
};

// Gives the mutex up and has it again at the end. Abseil does not say whether
// it was held for reading; a waiter that holds it exclusively is the rule.
class Waiting {
 public:
  explicit Waiting(void* mutex) : mutex_(mutex) {
    if (depth++ == 0) {
      __tsan_mutex_pre_unlock(mutex_, 0);
      __tsan_mutex_post_unlock(mutex_, 0);
      __tsan_mutex_pre_lock(mutex_, 0);
    }
  }
  ~Waiting() {
    if (--depth == 0) __tsan_mutex_post_lock(mutex_, 0, 0);
  }
  Waiting(const Waiting&) = delete;
  Waiting& operator=(const Waiting&) = delete;

 private:
  void* const mutex_;
};

// Calls a member function of the library's; `this` is the first argument.
template <typename Result, typename... Arguments>
Result Call(void* function, Arguments... arguments) {
  return reinterpret_cast<Result (*)(Arguments...)>(function)(arguments...);
}

}  // namespace

#define NEXT(symbol)                            \
  ([] {                                         \
    static void* const function = Next(symbol); \
    return function;                            \
  }())

extern "C" const char* __tsan_default_suppressions() {
  return "race:libgrpc\n"
         "race:libgpr\n"
         "race:libupb\n"
         // Reference counts of statuses and cords.
         "race:libabsl_\n"
         // Preloaded, and locked across fork().
         "mutex:libnss_wrapper\n"
         "race:^grpc::\n";
}

namespace absl {
ABSL_NAMESPACE_BEGIN

Mutex::~Mutex() {
  __tsan_mutex_destroy(this, __tsan_mutex_not_static);
  Call<void>(NEXT("_Z" NS "5MutexD1Ev"), this);
}

void Mutex::Lock() {
  Locking locking(this, 0);
  Call<void>(NEXT("_Z" NS "5Mutex4LockEv"), this);
}

void Mutex::Unlock() {
  Unlocking unlocking(this, 0);
  Call<void>(NEXT("_Z" NS "5Mutex6UnlockEv"), this);
}

bool Mutex::TryLock() {
  Locking locking(this, kTry);
  return locking.Tried(Call<bool>(NEXT("_Z" NS "5Mutex7TryLockEv"), this));
}

void Mutex::ReaderLock() {
  Locking locking(this, kRead);
  Call<void>(NEXT("_Z" NS "5Mutex10ReaderLockEv"), this);
}

void Mutex::ReaderUnlock() {
  Unlocking unlocking(this, kRead);
  Call<void>(NEXT("_Z" NS "5Mutex12ReaderUnlockEv"), this);
}

bool Mutex::ReaderTryLock() {
  Locking locking(this, kRead | kTry);
  return locking.Tried(Call<bool>(NEXT("_Z" NS "5Mutex13ReaderTryLockEv"), this));
}

void Mutex::LockWhen(const Condition& condition) {
  Locking locking(this, 0);
  Call<void>(NEXT("_Z" NS "5Mutex8LockWhenERKNS0_9ConditionE"), this, &condition);
}

bool Mutex::LockWhenWithTimeout(const Condition& condition, Duration timeout) {
  Locking locking(this, 0);
  return Call<bool>(NEXT("_Z" NS "5Mutex19LockWhenWithTimeoutERKNS0_9ConditionENS0_8DurationE"),
                    this, &condition, timeout);
}

bool Mutex::LockWhenWithDeadline(const Condition& condition, Time deadline) {
  Locking locking(this, 0);
  return Call<bool>(NEXT("_Z" NS "5Mutex20LockWhenWithDeadlineERKNS0_9ConditionENS0_4TimeE"), this,
                    &condition, deadline);
}

void Mutex::ReaderLockWhen(const Condition& condition) {
  Locking locking(this, kRead);
  Call<void>(NEXT("_Z" NS "5Mutex14ReaderLockWhenERKNS0_9ConditionE"), this, &condition);
}

void Mutex::Await(const Condition& condition) {
  Waiting waiting(this);
  Call<void>(NEXT("_Z" NS "5Mutex5AwaitERKNS0_9ConditionE"), this, &condition);
}

bool Mutex::AwaitWithTimeout(const Condition& condition, Duration timeout) {
  Waiting waiting(this);
  return Call<bool>(NEXT("_Z" NS "5Mutex16AwaitWithTimeoutERKNS0_9ConditionENS0_8DurationE"), this,
                    &condition, timeout);
}

bool Mutex::AwaitWithDeadline(const Condition& condition, Time deadline) {
  Waiting waiting(this);
  return Call<bool>(NEXT("_Z" NS "5Mutex17AwaitWithDeadlineERKNS0_9ConditionENS0_4TimeE"), this,
                    &condition, deadline);
}

void CondVar::Wait(Mutex* mutex) {
  Waiting waiting(mutex);
  Call<void>(NEXT("_Z" NS "7CondVar4WaitEPNS0_5MutexE"), this, mutex);
}

bool CondVar::WaitWithTimeout(Mutex* mutex, Duration timeout) {
  Waiting waiting(mutex);
  return Call<bool>(NEXT("_Z" NS "7CondVar15WaitWithTimeoutEPNS0_5MutexENS0_8DurationE"), this,
                    mutex, timeout);
}

bool CondVar::WaitWithDeadline(Mutex* mutex, Time deadline) {
  Waiting waiting(mutex);
  return Call<bool>(NEXT("_Z" NS "7CondVar16WaitWithDeadlineEPNS0_5MutexENS0_4TimeE"), this, mutex,
                    deadline);
}

ABSL_NAMESPACE_END
}  // namespace absl
