#include "bench/library_rivals.h"

#include "bench/peers/capnp_rival.h"
#include "bench/peers/sdbus_rival.h"

namespace capbroker::bench {

std::vector<LibraryRival> LibraryRivals() {
  return {
      {.name = "capnp_unary", .calls = 500, .units = 0, .make = CapnpUnary},
      {.name = "sdbus_unary", .calls = 500, .units = 0, .make = SdBusUnary},
      {.name = "capnp_channels_100",
       .calls = 1000,
       .units = 1,
       .make = [] { return CapnpChannels(100); }},
      {.name = "capnp_channels_1000",
       .calls = 5000,
       .units = 1,
       .make = [] { return CapnpChannels(1000); }},
  };
}

}  // namespace capbroker::bench
