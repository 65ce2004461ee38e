#include "transport/packet.h"

#include <time.h>

#include <cstring>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace capbroker::transport {
namespace {

bool MayTravel(PacketType type, PacketDirection direction) {
  switch (type) {
    case PacketType::kRequest:
    case PacketType::kCancel:
    case PacketType::kBufferRequest:
    case PacketType::kJoin:
    case PacketType::kLeave:
      return direction == PacketDirection::kToService;
    case PacketType::kResponse:
    case PacketType::kBuffer:
    case PacketType::kEpoch:
    case PacketType::kMailbox:
    case PacketType::kShared:
      return direction == PacketDirection::kToClient;
  }
  return false;
}

bool HasBody(PacketType type) {
  return type == PacketType::kRequest || type == PacketType::kResponse ||
         type == PacketType::kEpoch || type == PacketType::kJoin || type == PacketType::kShared;
}

uint8_t KnownFlags(PacketType type) {
  switch (type) {
    case PacketType::kRequest:
      return kFlagBulk | kFlagKept | kFlagInKept | kFlagWouldPost | kFlagNoMailbox;
    case PacketType::kResponse:
      return kFlagBulk | kFlagAwake | kFlagKept | kFlagInKept;
    case PacketType::kBufferRequest:
    case PacketType::kBuffer:
      return kFlagKept;
    default:
      return 0;
  }
}

// Of memory, at most one has the message. A request brings none.
bool FlagsFit(const PacketHeader& header) {
  if ((header.flags & ~KnownFlags(header.type)) != 0) return false;
  const bool bulk = (header.flags & kFlagBulk) != 0;
  const bool kept = (header.flags & kFlagKept) != 0;
  const bool in_kept = (header.flags & kFlagInKept) != 0;
  if ((in_kept && (bulk || !kept)) || (header.memory != 0 && !kept)) return false;
  return !(bulk && kept) || header.type == PacketType::kResponse;
}

// How many descriptors of the packet its header alone accounts for.
bool DescriptorsFit(const PacketHeader& header) {
  if (header.descriptor_count > kMaxDescriptors) return false;
  const bool bulk = (header.flags & kFlagBulk) != 0;
  switch (header.type) {
    case PacketType::kRequest:
      return true;
    case PacketType::kResponse:
      return !bulk || header.descriptor_count >= 1;
    case PacketType::kBuffer:
    case PacketType::kMailbox:
      return header.descriptor_count == 1;
    case PacketType::kShared:
      return header.descriptor_count <= 1;
    default:
      return header.descriptor_count == 0;
  }
}

}  // namespace

int64_t MonotonicNowNs() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

absl::StatusOr<PacketView> ParsePacket(absl::string_view data, size_t descriptors,
                                       PacketDirection direction) {
  const auto malformed = [](absl::string_view what) {
    return absl::InvalidArgumentError(absl::StrCat("malformed packet: ", what));
  };
  PacketView packet;
  PacketHeader& header = packet.header;
  if (data.size() < sizeof header) return malformed("shorter than its header");
  std::memcpy(&header, data.data(), sizeof header);
  data.remove_prefix(sizeof header);
  if (header.magic != kPacketMagic) return malformed("unknown header");
  if (!MayTravel(header.type, direction)) return malformed("unexpected type");
  if (!FlagsFit(header)) return malformed("unknown flags");
  if (!DescriptorsFit(header) || header.descriptor_count != descriptors) {
    return malformed("wrong number of descriptors");
  }
  if (header.metadata_size > kMaxMetadataSize || header.message_size > kMaxMessageSize) {
    return malformed("impossible length");
  }
  const bool inline_message = HasBody(header.type) && !IsInMemory(header.flags);
  if (inline_message && header.message_size > kMaxInlineMessage) {
    return malformed("impossible length");
  }
  const size_t body = header.metadata_size + (inline_message ? size_t{header.message_size} : 0);
  if (data.size() != body || (header.metadata_size != 0 && !HasBody(header.type))) {
    return malformed("length differs from its header's");
  }
  packet.metadata = data.substr(0, header.metadata_size);
  packet.message = data.substr(header.metadata_size);
  return packet;
}

}  // namespace capbroker::transport
