// The bytes of a message that was received, which its peer may still be able to change.
//
// A parser may look twice at what it reads, and believes what it saw first. So of memory that the
// peer can write every byte is read once, into memory that it cannot write, piece by piece as
// the message is parsed: a piece is small enough to stay in the CPU's cache, and all together cost
// hardly more than the parsing alone.
//
// Runs in every process. May be used in a compromised process.
#ifndef TRANSPORT_MESSAGE_BYTES_H_
#define TRANSPORT_MESSAGE_BYTES_H_

#include <google/protobuf/message.h>

#include <cstddef>
#include <string>

#include "absl/strings/string_view.h"

namespace capbroker::transport {

// Does not own the bytes.
class MessageBytes {
 public:
  MessageBytes() = default;
  // Bytes that nobody changes.
  MessageBytes(absl::string_view bytes)  // NOLINT(google-explicit-constructor): the usual case
      : bytes_(bytes) {}
  // Bytes that the peer can write, but not take away.
  static MessageBytes Shared(absl::string_view bytes) { return {bytes, true}; }

  size_t size() const { return bytes_.size(); }
  bool shared() const { return shared_; }
  // The bytes, unless they are shared.
  absl::string_view unshared() const { return shared_ ? absl::string_view() : bytes_; }

  // TRUST(worker). False: malformed.
  bool ParseTo(google::protobuf::Message* message) const;

  // Appends a copy of the bytes.
  void AppendTo(std::string& to) const { to.append(bytes_.data(), bytes_.size()); }

 private:
  MessageBytes(absl::string_view bytes, bool shared) : bytes_(bytes), shared_(shared) {}

  absl::string_view bytes_;
  bool shared_ = false;
};

}  // namespace capbroker::transport

#endif  // TRANSPORT_MESSAGE_BYTES_H_
