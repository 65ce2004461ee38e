// Bytes that no honest client sends, on the lane and on the wire of a channel.
//
// Lives in: attacking workers.
#ifndef TESTS_HOSTILE_WORKER_LANE_H_
#define TESTS_HOSTILE_WORKER_LANE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "tests/conformance/raw_packets.h"
#include "tests/hostile_worker/attack.h"
#include "transport/packet.h"

namespace capbroker::hostile {

// What an attack on a service comes to, beside a status code.
inline constexpr char kChannelEnds[] = "the channel ends";
// Why such an attack has no control.
inline constexpr char kNoPeer[] = "the service is its own defence";

inline constexpr char kSay[] = "/capbroker.testing.v1.Probe/Say";
inline constexpr char kSleep[] = "/capbroker.testing.v1.Probe/Sleep";
inline constexpr char kClone[] = "/capbroker.v1.Capability/Clone";

// A SayRequest: the word "a" is within the limits.
std::string SayMessage(const std::string& word);

using testing::Packet;
using testing::Request;
// The errno of sending it; "succeeded".
std::string SendRaw(int lane, const std::string& bytes, const std::vector<int>& descriptors = {});
// The status of the next answer ("OK", "INVALID_ARGUMENT"), kChannelEnds, or "no answer".
std::string NextAnswer(int lane);
// Sends and gives the answer.
std::string Exchange(int lane, const std::string& bytes, const std::vector<int>& descriptors = {});

// A wire of the channel on `lane`; -1 if there is none.
int OpenWire(int lane);
// What a client of HTTP/2 begins with.
std::string Preface();
std::string Frame(uint8_t type, uint8_t flags, uint32_t stream, const std::string& payload);
// A HEADERS frame that begins a call of kSay, and does not end it.
std::string BeginCall(uint32_t stream);
// Sends `next(i)` for i from 0 on, `count` times at most, and reads what comes back. "the wire
// ends" when it does; "is held" when the peer does not read any more; "goes on" after `count`, if a
// call is still served on it.
std::string Flood(int wire, int count, std::string (*next)(int));

}  // namespace capbroker::hostile

#endif  // TESTS_HOSTILE_WORKER_LANE_H_
