// Packets byte by byte, as no client of a lane makes them.
//
// Lives in: test programs.
#ifndef TESTS_CONFORMANCE_RAW_PACKETS_H_
#define TESTS_CONFORMANCE_RAW_PACKETS_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "base/unique_fd.h"
#include "transport/packet.h"

namespace capbroker::testing {

using transport::PacketHeader;
using transport::PacketType;

inline constexpr char kEcho[] = "/capbroker.testing.v1.Conformance/Echo";
inline constexpr char kExchange[] = "/capbroker.testing.v1.Conformance/Exchange";

// Of no call, with nothing in it.
PacketHeader HeaderOf(PacketType type);
PacketHeader Request(const char* method, uint64_t call, size_t message_size);

std::string Packet(const PacketHeader& header, const std::string& body = "");

// Without waiting. False: it is not sent, because the lane is full or has ended.
bool TrySendRaw(FdRef lane, const std::string& bytes, const std::vector<int>& descriptors);

}  // namespace capbroker::testing

#endif  // TESTS_CONFORMANCE_RAW_PACKETS_H_
