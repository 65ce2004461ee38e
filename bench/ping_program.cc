// A program that calls a channel once. As a worker it takes its grant "echo"; started otherwise,
// `ping_program N`, the channel that it inherits as descriptor N.
#include <cstdio>
#include <string>

#include "absl/strings/numbers.h"
#include "bench/calling_once.h"
#include "bench/echo.capbroker.h"
#include "client/grants.h"
#include "transport/channel.h"
#include "transport/stub.h"

int main(int argc, char* argv[]) {
  using capbroker::bench::v1::Echo;
  int number = 0;
  if (argc == 2 && absl::SimpleAtoi(argv[1], &number)) {
    const auto channel = capbroker::Channel::Unwrap(number);
    if (channel.ok()) return capbroker::bench::CallOnce(*capbroker::NewStub<Echo>(*channel));
    std::fprintf(stderr, "ping_program: %s\n", channel.status().ToString().c_str());
    return 2;
  }
  const auto grants = capbroker::Grants::FromEnvironment();
  if (grants.ok()) return capbroker::bench::CallOnce(*grants->Stub<Echo>("echo"));
  std::fprintf(stderr, "ping_program: %s\n", grants.status().ToString().c_str());
  return 2;
}
