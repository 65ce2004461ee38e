#include "bench/peers/sdbus_rival.h"

#include <errno.h>
#include <sys/socket.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-id128.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "bench/must.h"
#include "bench/payload.h"

namespace capbroker::bench {
namespace {

constexpr char kPath[] = "/capbroker/bench";
constexpr char kInterface[] = "capbroker.bench.Echo";

int OnPing(sd_bus_message* message, void*, sd_bus_error*) {
  const char* payload;
  if (sd_bus_message_read(message, "s", &payload) < 0) return -EINVAL;
  return sd_bus_reply_method_return(message, "s", payload);
}

constexpr sd_bus_vtable kMethods[] = {
    SD_BUS_VTABLE_START(0),
    SD_BUS_METHOD("Ping", "s", "s", OnPing, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_VTABLE_END,
};

// A bus that is one socket, not started yet.
sd_bus* BusOf(UniqueFd socket) {
  sd_bus* bus = nullptr;
  const int fd = std::move(socket).Release();
  Must(sd_bus_new(&bus) >= 0 && sd_bus_set_fd(bus, fd, fd) >= 0, "sd-bus");
  return bus;
}

void Serve(std::vector<UniqueFd> sockets) {
  sd_bus* const bus = BusOf(std::move(sockets[0]));
  sd_id128_t id;
  Must(sd_id128_randomize(&id) >= 0 && sd_bus_set_server(bus, 1, id) >= 0 &&
           sd_bus_set_trusted(bus, 1) >= 0 &&
           sd_bus_add_object_vtable(bus, nullptr, kPath, kInterface, kMethods, nullptr) >= 0 &&
           sd_bus_start(bus) >= 0,
       "serve sd-bus");
  for (;;) {
    const int done = sd_bus_process(bus, nullptr);
    if (done < 0 || (done == 0 && sd_bus_wait(bus, UINT64_MAX) < 0)) return;
  }
}

void Call(sd_bus* bus, const std::string& payload) {
  sd_bus_message* answer = nullptr;
  const char* text = nullptr;
  Must(sd_bus_call_method(bus, nullptr, kPath, kInterface, "Ping", nullptr, &answer, "s",
                          payload.c_str()) >= 0 &&
           sd_bus_message_read(answer, "s", &text) >= 0,
       "call of sd-bus");
  sd_bus_message_unref(answer);
}

}  // namespace

ForkedPeers SdBusUnary() {
  return ForkedPeers(
      SOCK_STREAM | SOCK_NONBLOCK, 1, Serve, [](std::vector<UniqueFd> sockets) -> RunCalls {
        sd_bus* const bus = BusOf(std::move(sockets[0]));
        Must(sd_bus_start(bus) >= 0, "start sd-bus");
        return [bus](int calls, std::vector<double>& times) {
          TimeCalls(calls, times,
                    [bus, payload = std::string(kPayload, 'x')] { Call(bus, payload); });
        };
      });
}

}  // namespace capbroker::bench
