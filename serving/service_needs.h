// What a service process needs of the host, beside its channels: one table, beside the class
// that serves. What is not in it, the process cannot do, whoever has taken it over.
//
//   serving::ServiceNeeds ResolverService::Needs() {
//     return {
//         .reads = {"/etc/hosts", "/etc/resolv.conf"},
//         .tcp = true,
//         .tcp_ports = {53},
//         .udp = true,
//     };
//   }
//
// A class that says nothing has its channels, threads, memory, clocks and nothing else: no
// file, no socket, no other process. Services that load code (modules of the C library), or read
// what they will not need again, do so in a static `Prepare()` of the class, which is called before
// the process is confined; its constructor runs confined. docs/design/service_confinement.md
//
// Values only. Written by services; read by the zygote, which confines.
#ifndef SERVING_SERVICE_NEEDS_H_
#define SERVING_SERVICE_NEEDS_H_

#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "google/protobuf/any.pb.h"

namespace capbroker::serving {

// A file, or a directory with what is beneath it. Symlinks are followed when the process is
// confined; of what is not there then, nothing is allowed.
struct FileNeed {
  std::string path;
  bool read = false;
  bool write = false;
  bool create = false;   // in a directory, and remove
  bool devices = false;  // and let holders control them
};

// What one process may reach by name.
struct ServiceReach {
  std::vector<FileNeed> files = {};
  // TCP ports to connect to, of any host.
  std::vector<uint16_t> tcp_ports = {};
  bool all_tcp_ports = false;
  // TCP ports to listen at, of any address of this host. 0: one that the system chooses.
  std::vector<uint16_t> tcp_server_ports = {};
  bool all_tcp_server_ports = false;
};

struct ServiceNeeds {
  // Files, and directories with what is beneath them, to read.
  std::vector<std::string> reads = {};
  // Opens, creates and removes files for its holders; which, `as_opened` says.
  bool serves_files = false;

  // Connects by TCP to these ports of any host, and to those of `as_opened`.
  bool tcp = false;
  std::vector<uint16_t> tcp_ports = {};
  // Listens by TCP at the ports of `as_opened`, and accepts nobody.
  bool tcp_servers = false;
  // Sends datagrams: to any port of any host, nothing on Linux bounds them.
  bool udp = false;
  // Local sockets to connect to, by path. What the kernel bounds is whether there are any.
  std::vector<std::string> local_sockets = {};
  // Asks the kernel for addresses and routes of this host.
  bool routes = false;

  // What the limits and settings say that a family is opened with. Narrowing takes nothing from
  // it, and no channel has more: each process of the family reaches the same. Called in the
  // process, with the application's rights.
  std::function<ServiceReach(const google::protobuf::Any& limits,
                             const google::protobuf::Any& settings)>
      as_opened = nullptr;

  // To be the application's user to files, with root's rights over them if that is root. Otherwise
  // the process has ids that own nothing, where the application may assign such.
  bool as_user = false;

  // System calls that the table refuses otherwise, whatever their arguments.
  std::vector<std::string> system_calls = {};

  // Not empty: nothing confines the process, and this is why.
  std::string unconfined = {};
  // The complete escape. In a line of its own, so that it can be found.
  static ServiceNeeds Unconfined(std::string reason) { return {.unconfined = std::move(reason)}; }
};

// What a process with these needs reaches, of a family that was opened so.
ServiceReach ReachOf(const ServiceNeeds& needs, const google::protobuf::Any& limits,
                     const google::protobuf::Any& settings);

}  // namespace capbroker::serving

#endif  // SERVING_SERVICE_NEEDS_H_
