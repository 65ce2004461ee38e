// Messages too large for a packet, each in a memfd of its own that the service makes. Usually they
// travel in memory that is kept for the next one (message_memory.h).
//
// The service makes both kinds, so that a worker needs no right to create
// memory files and cannot make the service map something else:
// - a response's is written, sealed against every change and sent;
// - a request's is made to size and sealed against resizing, so that reading it
//   cannot fault; the client writes it, and the service seals it before it reads. If
//   the client can still write, the service reads a copy.
//
// Runs in every process. May be used in a compromised process.
#ifndef TRANSPORT_BULK_H_
#define TRANSPORT_BULK_H_

#include <cstddef>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/unique_fd.h"

namespace capbroker::transport {

// A sealed memfd of `size` bytes which `fill` has written. Service side.
absl::StatusOr<UniqueFd> MakeSealedMessage(size_t size, absl::FunctionRef<bool(char*)> fill);

// An empty memfd of fixed size for a client to write. Service side.
absl::StatusOr<UniqueFd> MakeRequestBuffer(size_t size);

// The size of memory that the service sent. INVALID_ARGUMENT: it is no memfd of `least` bytes to a
// page more than kMaxMessageSize, or could become smaller, so that touching it could end the
// process. Client side.
absl::StatusOr<size_t> FixedSize(FdRef memfd, size_t least);

// Writes the buffer that the service sent. Client side. Errors as FixedSize().
absl::Status FillRequestBuffer(FdRef buffer, size_t size, absl::FunctionRef<bool(char*)> fill);

// Calls `read` with the bytes that the client has written: nobody can change them any
// more. Service side. Errors as CopyMessage().
absl::Status ReadRequest(FdRef buffer, size_t size,
                         absl::FunctionRef<void(absl::string_view)> read);

// Copies `size` bytes out of a memfd. Either side. INVALID_ARGUMENT: it is
// shorter, or no memfd.
absl::StatusOr<std::string> CopyMessage(FdRef memfd, size_t size);

// Copies all of a sealed memfd, of at most kMaxMessageSize bytes.
absl::StatusOr<std::string> CopyWholeMessage(FdRef memfd);

// Calls `read` with the bytes of a memfd: in place if its seals say that nobody
// can change them any more, of a copy otherwise. Errors as CopyMessage().
absl::Status ReadMessage(FdRef memfd, size_t size, absl::FunctionRef<void(absl::string_view)> read);

}  // namespace capbroker::transport

#endif  // TRANSPORT_BULK_H_
