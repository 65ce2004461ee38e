// Ownership of file descriptors.
//
// A descriptor is an authority, so who holds one must be readable from types:
// `UniqueFd` owns, `FdRef` borrows for the length of a call, and a bare `int`
// appears only where a system call is made. Neither converts to `int` or `bool`
// by itself: the conversions are exactly how a descriptor ends up closed twice
// or sent to the wrong peer.
//
// Runs in every process. Not thread-safe: one owner, one thread at a time.
#ifndef BASE_UNIQUE_FD_H_
#define BASE_UNIQUE_FD_H_

#include <utility>

#include "absl/status/statusor.h"

namespace capbroker {

class UniqueFd;

// A descriptor that somebody else owns and keeps open while this is used.
class FdRef {
 public:
  constexpr FdRef() = default;
  // Implicit, as from `std::string` to `string_view`: borrowing is harmless.
  FdRef(const UniqueFd& owner);  // NOLINT(google-explicit-constructor)

  // Borrows a number that is not owned by a UniqueFd (AT_FDCWD, 0 to 2).
  static constexpr FdRef FromRaw(int fd) { return FdRef(fd); }

  constexpr int get() const { return fd_; }
  constexpr bool valid() const { return fd_ >= 0; }

 private:
  constexpr explicit FdRef(int fd) : fd_(fd) {}
  int fd_ = -1;
};

// Owns one descriptor and closes it. Move-only; empty when moved from.
class UniqueFd {
 public:
  constexpr UniqueFd() = default;
  // Takes ownership of `fd`; negative means none.
  constexpr explicit UniqueFd(int fd) : fd_(fd) {}
  UniqueFd(UniqueFd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept {
    Reset(std::exchange(other.fd_, -1));
    return *this;
  }
  ~UniqueFd() { Reset(); }

  int get() const { return fd_; }
  bool valid() const { return fd_ >= 0; }

  // Gives up ownership: the caller must close the result.
  [[nodiscard]] int Release() && { return std::exchange(fd_, -1); }

  // Closes what is owned, and owns `fd` instead. Keeps errno.
  void Reset(int fd = -1);

 private:
  int fd_ = -1;
};

inline FdRef::FdRef(const UniqueFd& owner) : fd_(owner.get()) {}

// A second descriptor of the same open file, close-on-exec.
absl::StatusOr<UniqueFd> Duplicate(FdRef fd);

}  // namespace capbroker

#endif  // BASE_UNIQUE_FD_H_
