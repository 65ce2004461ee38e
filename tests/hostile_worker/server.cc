#include "tests/hostile_worker/server.h"

#include <sys/socket.h>

namespace capbroker::hostile {

sockaddr_in NameOf(uint32_t address, int port) {
  sockaddr_in name = {};
  name.sin_family = AF_INET;
  name.sin_addr.s_addr = htonl(address);
  name.sin_port = htons(static_cast<uint16_t>(port));
  return name;
}

int BoundTo(uint32_t address, int port) {
  const int server = socket(AF_INET, SOCK_STREAM, 0);
  if (server < 0) return -1;
  // Beside whoever keeps the port free (Scene::free_port).
  const int on = 1;
  if (setsockopt(server, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0) return -1;
  const sockaddr_in name = NameOf(address, port);
  return bind(server, reinterpret_cast<const sockaddr*>(&name), sizeof name) == 0 ? server : -1;
}

}  // namespace capbroker::hostile
