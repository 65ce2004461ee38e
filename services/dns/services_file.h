// services(5): port numbers by name.
//
// Lives in: the service process. Immutable; thread-safe.
#ifndef SERVICES_DNS_SERVICES_FILE_H_
#define SERVICES_DNS_SERVICES_FILE_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"

namespace capbroker::dns {

class ServicesFile {
 public:
  // Lines that are malformed are left out.
  static ServicesFile Parse(absl::string_view text);

  // The port of a name or an alias: that for TCP if there is one, otherwise that
  // for UDP. Names are compared as they are written.
  std::optional<uint16_t> Find(absl::string_view service) const;

 private:
  absl::flat_hash_map<std::string, uint16_t> tcp_;
  absl::flat_hash_map<std::string, uint16_t> udp_;
};

}  // namespace capbroker::dns

#endif  // SERVICES_DNS_SERVICES_FILE_H_
