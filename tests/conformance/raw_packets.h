// Packets byte by byte, as no client of a lane makes them.
//
// Lives in: test programs.
#ifndef TESTS_CONFORMANCE_RAW_PACKETS_H_
#define TESTS_CONFORMANCE_RAW_PACKETS_H_

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "base/unique_fd.h"
#include "transport/packet.h"

namespace capbroker::testing {

using transport::PacketHeader;
using transport::PacketType;

// Of no call, with nothing in it.
PacketHeader HeaderOf(PacketType type);
PacketHeader Request(const char* method, uint64_t call, size_t message_size);

std::string Packet(const PacketHeader& header, const std::string& body = "");

// As sendmsg(2), with its flags.
ssize_t SendBytes(FdRef lane, const std::string& bytes, const std::vector<int>& descriptors,
                  int flags = 0);

}  // namespace capbroker::testing

#endif  // TESTS_CONFORMANCE_RAW_PACKETS_H_
