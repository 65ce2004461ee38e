#include "bench/library_rivals.h"

#include <sys/socket.h>
#include <unistd.h>

#include <iterator>
#include <utility>

#include "bench/forked.h"
#include "bench/must.h"
#include "bench/process_facts.h"

namespace capbroker::bench {

const std::vector<LibraryRival>& LibraryRivals() {
  static const std::vector<LibraryRival>* const rivals = new std::vector<LibraryRival>{
      {.name = "capnp_unary", .calls = 500},
      {.name = "sdbus_unary", .calls = 500},
      {.name = "capnp_channels_100", .calls = 1000, .units = 1},
      {.name = "capnp_channels_1000", .calls = 5000, .units = 1},
  };
  return *rivals;
}

LibraryPeers::LibraryPeers(const std::string& rival) {
  const std::string program = BesideThisProgram("peers/library_rivals");
  if (access(program.c_str(), X_OK) != 0) {
    Fail("--peers", "built without them: ./bazelw run -c opt //bench -- --peers");
  }
  SocketPair pair = MakeSocketPair(SOCK_STREAM);
  socket_ = std::move(pair.ours);
  Fork([&] {
    Must(dup2(pair.theirs.get(), STDIN_FILENO) == STDIN_FILENO, "socket of a rival");
    execl(program.c_str(), program.c_str(), rival.c_str(), nullptr);
    Fail("execute a rival", program);
  });
  pid_t processes[2];
  Must(recv(socket_.get(), processes, sizeof processes, MSG_WAITALL) == sizeof processes,
       "start a rival");
  processes_.assign(std::begin(processes), std::end(processes));
}

RunCalls LibraryPeers::run() const {
  return
      [this](int calls, std::vector<double>& times) { AskToRun(socket_, socket_, calls, times); };
}

}  // namespace capbroker::bench
