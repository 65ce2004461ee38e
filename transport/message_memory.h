// Memory that both ends of a lane have mapped, for one large message after another.
//
// New memory is zeroed by the kernel, page by page, and mapped page by page, at both ends: for a
// message of a mebibyte that takes ten times as long as copying it. So the service's end and its
// client keep one such memory, and lend it to one call at a time: the request is written there,
// read (transport/message_bytes.h), and the response is written in its place.
//
// The client claims it from before it writes a request until it has read the answer; meanwhile the
// service does not give it back. What the service makes, it makes for a call: it is claimed. A
// client that says so falsely keeps its own memory, and the service forgets it then
// (serving/lane/kept_memory.h).
//
// Each end can write all of it at any time. Nobody relies on what is there: the service writes
// responses and reads them no more, and either end reads a message once. Whoever had the lane
// before may still have it mapped: the service lends what a client has lent it, and never by
// itself.
//
// Runs in every process. May be used in a compromised process.
#ifndef TRANSPORT_MESSAGE_MEMORY_H_
#define TRANSPORT_MESSAGE_MEMORY_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/unique_fd.h"
#include "transport/message_bytes.h"

namespace capbroker::transport {

// Thread-safe, but for the bytes.
class MessageMemory {
 public:
  // For messages of up to `capacity` bytes. Service side.
  static absl::StatusOr<std::unique_ptr<MessageMemory>> Make(size_t capacity);
  // What the service has sent. Errors as FixedSize(). Client side.
  static absl::StatusOr<std::unique_ptr<MessageMemory>> Map(FdRef memfd, size_t least);
  ~MessageMemory();
  MessageMemory(const MessageMemory&) = delete;
  MessageMemory& operator=(const MessageMemory&) = delete;

  size_t capacity() const { return capacity_; }

  // `size` bytes, of capacity() at most.
  absl::Status Write(size_t size, absl::FunctionRef<bool(char*)> fill);
  MessageBytes Read(size_t size);

  // False: it was given back. Client side.
  bool Claim();
  void Unclaim();

  // A descriptor to send. Service side.
  absl::StatusOr<UniqueFd> Share() const { return Duplicate(memfd_); }
  // Gives the pages back to the kernel, for good, whoever has them mapped. False: it is claimed.
  // Service side.
  bool GiveBack();

 private:
  MessageMemory(UniqueFd memfd, char* memory, size_t capacity);
  static absl::StatusOr<std::unique_ptr<MessageMemory>> MapAll(FdRef memfd, size_t capacity);
  void Populate(size_t size);
  std::atomic<uint32_t>& state() const;

  UniqueFd memfd_;  // of who has made it
  char* const memory_;
  const size_t capacity_;
  std::atomic<size_t> populated_{0};
};

}  // namespace capbroker::transport

#endif  // TRANSPORT_MESSAGE_MEMORY_H_
