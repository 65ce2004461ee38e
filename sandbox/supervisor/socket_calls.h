// The calls that connect sockets and make servers of them, answered by who is outside (outside.h).
//
// A worker makes its sockets itself, in its own network namespace, where they reach nobody: a
// socket is a placeholder until connect(2) is asked for. Then a connection comes from outside,
// gets what the program had set on its socket, and takes the place of the descriptor. A server
// comes at bind(2) already, and listens: the kernel's listen(2) is never called, which could make
// one listen again that was shut down. What it accepts is the worker's alone. A socket of
// the C library for its name service becomes one end of a conversation (name_service.h).
//
// A connect that is to wait is answered when the connection is there; the supervisor does not wait
// for it. Other descriptors of the same placeholder stay what they are.
//
// Lives in: the supervisor. One thread.
#ifndef SANDBOX_SUPERVISOR_SOCKET_CALLS_H_
#define SANDBOX_SUPERVISOR_SOCKET_CALLS_H_

#include <poll.h>
#include <sys/socket.h>

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/unique_fd.h"
#include "sandbox/supervisor/held_connections.h"
#include "sandbox/supervisor/name_service.h"
#include "sandbox/supervisor/notification.h"
#include "sandbox/supervisor/outside.h"

namespace capbroker::sandbox {

class SocketCalls {
 public:
  // As HeldConnections.
  SocketCalls(Outside& outside, int highest_descriptor, bool processes)
      : outside_(outside), names_(outside), held_(highest_descriptor, processes) {}

  // Of every call that was asked for.
  void NoteCaller(const Notification& call) { held_.NoteCaller(call.thread()); }
  // Nothing if the call is another.
  std::optional<Answer> AnswerTo(const Notification& call);

  // The calls that have an answer, some only with arguments as the table says.
  static std::vector<std::string> Names();

  // What is to be waited for, how long, and then what has come of it.
  void AppendTo(std::vector<pollfd>& polled) const;
  int Timeout() const { return held_.Timeout(); }
  void GoOn(const std::vector<pollfd>& polled);

  // What was named since the last time, for the journal.
  std::vector<NamedHost> TakeHosts();

 private:
  // A connect that the worker waits for.
  struct Waiting {
    Notification call;
    int descriptor;  // the worker's number
    UniqueFd socket;
  };
  struct Address {
    sockaddr_storage storage = {};
    size_t size = 0;
  };
  // What connect and bind are called with.
  struct Target {
    Address address;
    int descriptor = -1;
    UniqueFd socket;
    int error_number = 0;  // not 0: the call fails
  };

  static Target TargetOf(const Notification& call);
  Answer OnConnect(const Notification& call);
  Answer OnBind(const Notification& call);
  Answer OnListen(const Notification& call);
  Answer Connect(const Notification& call, int descriptor, FdRef placeholder,
                 const std::string& address, uint16_t port);
  Answer ConnectToNames(int descriptor, FdRef placeholder, const Address& address);
  // Nothing if the file is not the worker's own: its flags are shared (shared_flags.h).
  std::optional<Answer> OnSetFlags(const Notification& call, bool on);
  void Finish(Waiting& waiting);
  // The socket takes the place of the worker's descriptor, and is kept an eye on.
  Answer Give(UniqueFd socket, int descriptor, int error_number);
  // Of sockets that nobody else holds, so that their flags are the worker's alone.
  bool IsWorkersOwn(FdRef socket) const;

  Outside& outside_;
  NameService names_;
  HeldConnections held_;
  std::vector<Waiting> waiting_;
  std::set<uint16_t> served_ports_;  // of servers that the worker was given
  std::vector<NamedHost> hosts_;
};

}  // namespace capbroker::sandbox

#endif  // SANDBOX_SUPERVISOR_SOCKET_CALLS_H_
