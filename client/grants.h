// What a worker was given: its whole authority, by name.
//
//   int ShowPage(capbroker::Grants grants) {
//     auto dns = grants.Stub<dns::v1::Resolver>("dns");
//     ...
//
// A worker is born with descriptors in fixed places: 0 to 2, its birth message at 3
// (a sealed memfd with the names of the grants and the input), the channels from 4 on in
// the order of the names. Nothing is passed in the environment, which a program may print,
// and nothing has to be parsed from arguments.
//
// The channels are ends that the broker has made for this worker alone, so they
// are not adopted.
//
// Lives in: a worker. Not thread-safe; the channels are. May be used in a compromised
// process.
#ifndef CLIENT_GRANTS_H_
#define CLIENT_GRANTS_H_

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "transport/channel.h"
#include "transport/stub.h"

namespace capbroker {

class Grants {
 public:
  // No grants and no input.
  Grants() = default;
  Grants(Grants&&) = default;
  Grants& operator=(Grants&&) = default;

  // Takes what the broker put into this process. For executed programs; a forked
  // worker's entry gets it as its argument. FAILED_PRECONDITION: this process is no
  // worker, or has taken its grants already, or was given nothing but what its
  // supervisor answers.
  static absl::StatusOr<Grants> FromEnvironment();

  // A stub of the protobuf service `Service` over the grant `name`. Never null:
  // without such a grant every call fails with UNAVAILABLE.
  template <typename Service>
  std::unique_ptr<typename Service::StubInterface> Stub(absl::string_view name) const {
    return NewStub<Service>(ChannelOrClosed(name));
  }

  // The channel itself, to narrow or clone. NOT_FOUND: no such grant.
  absl::StatusOr<std::shared_ptr<capbroker::Channel>> Channel(absl::string_view name) const;

  // In alphabetical order.
  std::vector<std::string> names() const;

  // What the application passed as WorkerOptions::input.
  const std::string& input() const { return input_; }

 private:
  std::shared_ptr<capbroker::Channel> ChannelOrClosed(absl::string_view name) const;

  std::map<std::string, std::shared_ptr<capbroker::Channel>, std::less<>> channels_;
  std::string input_;
};

}  // namespace capbroker

#endif  // CLIENT_GRANTS_H_
