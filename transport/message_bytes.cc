#include "transport/message_bytes.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <utility>

namespace capbroker::transport {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
namespace io = google::protobuf::io;

constexpr int kPiece = 8 << 10;
// Of a longer string Protocol Buffers reserves so much, and doubles that when it is full.
constexpr size_t kReserved = 50'000'000;
// A tag and a length.
constexpr size_t kFieldHeader = 15;

// Gives each byte out once.
class Once final : public io::CopyingInputStream {
 public:
  explicit Once(absl::string_view bytes) : left_(bytes) {}

  // INVARIANT(read-once): what was copied is not looked at again where the peer can write.
  int Read(void* buffer, int size) override {
    const size_t count = std::min(left_.size(), static_cast<size_t>(size));
    std::memcpy(buffer, left_.data(), count);
    left_.remove_prefix(count);
    return static_cast<int>(count);
  }

 private:
  absl::string_view left_;
};

// The string that a message begins with, if that has a field for it of which nothing can be told
// from an empty one that is not there.
const FieldDescriptor* FirstString(const Message& message, const std::string& begin,
                                   uint32_t& size) {
  io::CodedInputStream input(reinterpret_cast<const uint8_t*>(begin.data()),
                             static_cast<int>(begin.size()));
  const uint32_t tag = input.ReadTag();
  if ((tag & 7) != 2 || !input.ReadVarint32(&size)) return nullptr;
  const FieldDescriptor* field =
      message.GetDescriptor()->FindFieldByNumber(static_cast<int>(tag >> 3));
  if (field == nullptr || field->is_repeated() || field->has_presence() ||
      field->cpp_type() != FieldDescriptor::CPPTYPE_STRING) {
    return nullptr;
  }
  return field;
}

// So that a very long string is not copied while it grows. Nothing but how much room there is
// depends on what is read here, and that is bounded.
void ReserveFirstString(absl::string_view bytes, Message* message) {
  uint32_t size = 0;
  const std::string begin(bytes.substr(0, kFieldHeader));
  const FieldDescriptor* field = FirstString(*message, begin, size);
  if (field == nullptr || size <= kReserved || size > bytes.size()) return;
  std::string reserved;
  reserved.reserve(size);
  message->GetReflection()->SetString(message, field, std::move(reserved));
}

}  // namespace

bool MessageBytes::ParseTo(Message* message) const {
  if (!shared_) return message->ParseFromArray(bytes_.data(), static_cast<int>(bytes_.size()));
  message->Clear();
  if (bytes_.size() > kReserved) ReserveFirstString(bytes_, message);
  Once once(bytes_);
  io::CopyingInputStreamAdaptor stream(&once, kPiece);
  return message->MergeFromBoundedZeroCopyStream(&stream, static_cast<int>(bytes_.size()));
}

}  // namespace capbroker::transport
