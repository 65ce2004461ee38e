// One of the rivals of bench/library_rivals.h, by its name: tells the processes of its server and
// its caller on descriptor 0, and measures when it is asked to there.
#include <sys/types.h>
#include <unistd.h>

#include <map>
#include <string>
#include <vector>

#include "base/unique_fd.h"
#include "bench/forked.h"
#include "bench/must.h"
#include "bench/peers/capnp_rival.h"
#include "bench/peers/sdbus_rival.h"

int main(int argc, char* argv[]) {
  using namespace capbroker::bench;  // NOLINT(google-build-using-namespace): the program's own
  const std::map<std::string, ForkedPeers (*)()> rivals = {
      {"capnp_unary", CapnpUnary},
      {"sdbus_unary", SdBusUnary},
      {"capnp_channels_100", [] { return CapnpChannels(100); }},
      {"capnp_channels_1000", [] { return CapnpChannels(1000); }},
  };
  const auto rival = rivals.find(argc == 2 ? argv[1] : "");
  if (rival == rivals.end()) Fail("rival", "none of that name");
  ForkedPeers peers = rival->second();
  const std::vector<pid_t> processes = peers.processes();
  const auto size = static_cast<ssize_t>(processes.size() * sizeof(pid_t));
  Must(write(STDIN_FILENO, processes.data(), static_cast<size_t>(size)) == size, "tell of a rival");
  const capbroker::FdRef asked = capbroker::FdRef::FromRaw(STDIN_FILENO);
  AnswerRuns(asked, asked, peers.run());
  return 0;
}
