// What a channel may do, before there is a channel.
//
// An `Authority` is the result of a grant expression: `ResolveNames({"example.org"})`,
// `Serve<WordCounterService>(limits)`. It is a plain value that names a service and says
// what of it: nothing happens until a broker opens it. A `Grant` is an authority, or a
// channel that is open already, under the name by which the worker asks for it:
//
//   .grants = {{"dns", ResolveNames({"example.org"})},
//              {"page", ReadOnlyFile("/srv/page.html")}}
//
// Lives in: the application. Values.
#ifndef CLIENT_GRANT_H_
#define CLIENT_GRANT_H_

#include <memory>
#include <optional>
#include <string>
#include <variant>

#include "google/protobuf/any.pb.h"
#include "transport/channel.h"

namespace capbroker {

struct Authority {
  // As the service is registered: the protobuf service's full name, and "#" and
  // an instance's name where a program has several implementations of it.
  std::string service;
  // The service's limits message. A field that is not set allows nothing.
  google::protobuf::Any limits;
  // The service's budget message. Unset: the defaults of its proto.
  std::optional<google::protobuf::Any> budget = std::nullopt;
  // Whether the holder may ask for a wire: a gRPC server of its own, for streams.
  bool wire = false;
  // A channel that the service calls: a proxy's. Opening gives it away, as a grant does.
  std::shared_ptr<Channel> upstream = nullptr;
  // For the constructor of the service's class. At most 256 KiB.
  std::optional<google::protobuf::Any> settings = std::nullopt;
};

struct Grant {
  // Unique among a worker's grants, 1 to 64 bytes.
  std::string name;
  // A channel is given away: launching closes it in the application.
  std::variant<Authority, std::shared_ptr<Channel>> source;
};

}  // namespace capbroker

#endif  // CLIENT_GRANT_H_
