#include "sandbox/supervisor/socket_calls.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/un.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "sandbox/supervisor/capability_errno.h"
#include "sandbox/supervisor/name_request.h"
#include "sandbox/supervisor/shared_flags.h"
#include "sandbox/supervisor/worker_descriptors.h"
#include "sandbox/supervisor/worker_memory.h"

namespace capbroker::sandbox {
namespace {

// Connects that wait at the same time, in threads of one worker.
constexpr size_t kMostWaiting = 64;

int Descriptor(uint64_t argument) { return static_cast<int>(static_cast<uint32_t>(argument)); }

template <typename Value>
bool GetOption(FdRef socket, int level, int option, Value& value) {
  socklen_t size = sizeof value;
  return getsockopt(socket.get(), level, option, &value, &size) == 0;
}

int Option(FdRef socket, int level, int option) {
  int value = -1;
  return GetOption(socket, level, option, value) ? value : -1;
}

int StateOf(FdRef socket) {
  tcp_info info = {};
  return GetOption(socket, IPPROTO_TCP, TCP_INFO, info) ? info.tcpi_state : -1;
}

template <typename Value>
void CarryOver(FdRef from, FdRef to, int level, int option) {
  Value value = {};
  if (!GetOption(from, level, option, value)) return;
  (void)setsockopt(to.get(), level, option, &value, sizeof value);
}

// What the table lets a worker set. A lease sets the probes of keepalive by itself, where the
// program does not.
void CarryOptionsOver(FdRef from, FdRef to) {
  CarryOver<int>(from, to, IPPROTO_TCP, TCP_NODELAY);
  CarryOver<int>(from, to, SOL_SOCKET, SO_RCVLOWAT);
  CarryOver<timeval>(from, to, SOL_SOCKET, SO_RCVTIMEO);
  CarryOver<timeval>(from, to, SOL_SOCKET, SO_SNDTIMEO);
  if (Option(from, SOL_SOCKET, SO_KEEPALIVE) != 1) return;
  CarryOver<int>(from, to, SOL_SOCKET, SO_KEEPALIVE);
  for (const int option : {TCP_KEEPIDLE, TCP_KEEPINTVL, TCP_KEEPCNT}) {
    CarryOver<int>(from, to, IPPROTO_TCP, option);
  }
}

bool IsNonblocking(FdRef socket) {
  const int flags = fcntl(socket.get(), F_GETFL);
  return flags >= 0 && (flags & O_NONBLOCK) != 0;
}

bool SetNonblocking(FdRef socket, bool on) {
  const int flags = fcntl(socket.get(), F_GETFL);
  const int wanted = on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK;
  return flags >= 0 && fcntl(socket.get(), F_SETFL, wanted) == 0;
}

// "192.0.2.1:443", "[2001:db8::1]:443".
std::string NameOf(const std::string& address, uint16_t port) {
  char text[INET6_ADDRSTRLEN] = "";
  const bool v4 = address.size() == sizeof(in_addr);
  inet_ntop(v4 ? AF_INET : AF_INET6, address.data(), text, sizeof text);
  return v4 ? absl::StrCat(text, ":", port) : absl::StrCat("[", text, "]:", port);
}

// What the kernel says of a socket that is none for an address of `family`; 0 if it is.
int CheckKind(FdRef socket, int family) {
  const int domain = Option(socket, SOL_SOCKET, SO_DOMAIN);
  if (domain < 0) return ENOTSOCK;
  if (Option(socket, SOL_SOCKET, SO_TYPE) != SOCK_STREAM) return kEcapmode;
  return domain == family ? 0 : EAFNOSUPPORT;
}

// What connect(2) says of a TCP socket that is none to connect; 0 if it is.
int CheckPlaceholder(FdRef socket) {
  switch (StateOf(socket)) {
    case TCP_CLOSE:
      return 0;
    case TCP_SYN_SENT:
      return EALREADY;
    case TCP_LISTEN:
      return kEcapmode;  // bound, to connect from there
    default:
      return EISCONN;
  }
}

// 0: none. At the same place in both families.
uint16_t PortOf(FdRef socket) {
  sockaddr_storage name = {};
  socklen_t size = sizeof name;
  if (getsockname(socket.get(), reinterpret_cast<sockaddr*>(&name), &size) != 0) return 0;
  sockaddr_in v4;
  std::memcpy(&v4, &name, sizeof v4);
  return ntohs(v4.sin_port);
}

struct Endpoint {
  std::string address;  // 4 or 16 bytes
  uint16_t port = 0;
};

// Of IPv4 and IPv6; nothing if it is too short.
std::optional<Endpoint> EndpointOf(const sockaddr_storage& storage, size_t size) {
  if (storage.ss_family == AF_INET && size >= sizeof(sockaddr_in)) {
    sockaddr_in name;
    std::memcpy(&name, &storage, sizeof name);
    return Endpoint{
        std::string(reinterpret_cast<const char*>(&name.sin_addr), sizeof name.sin_addr),
        ntohs(name.sin_port)};
  }
  // The shortest that Linux takes, which has no scope.
  if (storage.ss_family == AF_INET6 && size >= offsetof(sockaddr_in6, sin6_scope_id)) {
    sockaddr_in6 name = {};
    std::memcpy(&name, &storage, std::min(sizeof name, size));
    return Endpoint{
        std::string(reinterpret_cast<const char*>(&name.sin6_addr), sizeof name.sin6_addr),
        ntohs(name.sin6_port)};
  }
  return std::nullopt;
}

// "*:8080" is everywhere.
std::string ServerNameOf(const Outside::ServerName& server) {
  const bool everywhere = !server.v6_only && server.address == std::string(sizeof(in6_addr), '\0');
  return everywhere ? absl::StrCat("*:", server.port) : NameOf(server.address, server.port);
}

}  // namespace

std::optional<Answer> SocketCalls::AnswerTo(const Notification& call) {
  switch (call.call().nr) {
    case SYS_connect:
      return OnConnect(call);
    case SYS_bind:
      return OnBind(call);
    case SYS_listen:
      return OnListen(call);
    case SYS_fcntl:  // F_SETFL
      return OnSetFlags(call, (call.argument(2) & O_NONBLOCK) != 0);
    case SYS_ioctl: {  // FIONBIO
      int on = 0;
      const int error = WorkerMemory(call.thread()).Read(call.argument(2), &on, sizeof on);
      return error != 0 ? Failure(error) : OnSetFlags(call, on != 0);
    }
    default:
      return std::nullopt;
  }
}

std::vector<std::string> SocketCalls::Names() {
  return {"connect", "bind", "listen", "fcntl", "ioctl"};
}

// TRUST(worker): the descriptor's number, the address and its size.
SocketCalls::Target SocketCalls::TargetOf(const Notification& call) {
  Target target;
  Address& address = target.address;
  address.size = call.argument(2);
  if (address.size < sizeof(sa_family_t) || address.size > sizeof address.storage) {
    target.error_number = EINVAL;
    return target;
  }
  // INVARIANT(decided-on-a-copy): read once; other threads may change the original.
  target.error_number =
      WorkerMemory(call.thread()).Read(call.argument(1), &address.storage, address.size);
  if (target.error_number != 0) return target;
  if (!call.IsWaiting()) {  // it was somebody else's memory
    target.error_number = EINTR;
    return target;
  }
  target.descriptor = Descriptor(call.argument(0));
  Opened socket = DuplicateFrom(call.thread(), target.descriptor);
  target.error_number = socket.error_number;
  target.socket = std::move(socket.fd);
  return target;
}

Answer SocketCalls::OnConnect(const Notification& call) {
  const Target target = TargetOf(call);
  if (target.error_number != 0) return Failure(target.error_number);
  const int family = target.address.storage.ss_family;
  // Would disconnect, and a socket from outside could be connected anew.
  if (family == AF_UNSPEC) return Failure(kEcapmode);
  if (const int not_one = CheckKind(target.socket, family); not_one != 0) return Failure(not_one);
  if (family == AF_UNIX) return ConnectToNames(target.descriptor, target.socket, target.address);
  if (const int not_one = CheckPlaceholder(target.socket); not_one != 0) return Failure(not_one);
  const std::optional<Endpoint> to = EndpointOf(target.address.storage, target.address.size);
  if (!to.has_value()) return Failure(EINVAL);
  return Connect(call, target.descriptor, target.socket, to->address, to->port);
}

// TRUST(worker): as OnConnect().
Answer SocketCalls::OnBind(const Notification& call) {
  const Target target = TargetOf(call);
  if (target.error_number != 0) return Failure(target.error_number);
  const int family = target.address.storage.ss_family;
  if (const int not_one = CheckKind(target.socket, family); not_one != 0) return Failure(not_one);
  if (family == AF_UNIX) return Failure(kEcapmode);
  // Connected, or bound before.
  if (PortOf(target.socket) != 0) return Failure(EINVAL);
  const std::optional<Endpoint> at = EndpointOf(target.address.storage, target.address.size);
  if (!at.has_value()) return Failure(EINVAL);
  // A server that the worker has closed is to be one again at once.
  if (!served_ports_.empty()) held_.Look();
  if (!held_.HasRoom()) return Failure(ENOBUFS);

  const Outside::ServerName name = {
      .address = at->address,
      .port = at->port,
      .shares_port = Option(target.socket, SOL_SOCKET, SO_REUSEPORT) == 1,
      .v6_only = Option(target.socket, IPPROTO_IPV6, IPV6_V6ONLY) == 1};
  Outside::Server server = outside_.StartListening(name);
  hosts_.push_back({ServerNameOf(name), server.socket.valid() ? 0 : server.error_number,
                    /*is_server=*/true});
  if (!server.socket.valid()) return Failure(server.error_number);
  CarryOptionsOver(target.socket, server.socket);
  if (!SetNonblocking(server.socket, IsNonblocking(target.socket))) return Failure(ENOBUFS);
  served_ports_.insert(PortOf(server.socket));
  return Give(std::move(server.socket), target.descriptor, 0);
}

// A server listens since it is bound.
Answer SocketCalls::OnListen(const Notification& call) {
  const Opened socket = DuplicateFrom(call.thread(), Descriptor(call.argument(0)));
  if (!socket.fd.valid()) return Failure(socket.error_number);
  const int domain = Option(socket.fd, SOL_SOCKET, SO_DOMAIN);
  if (domain < 0) return Failure(ENOTSOCK);
  if (domain != AF_INET && domain != AF_INET6) return Failure(kEcapmode);
  if (StateOf(socket.fd) == TCP_LISTEN) return Result(0);
  // INVARIANT(leases-end-with-their-channel): not even one that listened before. Whoever has no
  // port would get one from the system.
  return Failure(PortOf(socket.fd) == 0 ? kEcapmode : EINVAL);
}

Answer SocketCalls::Connect(const Notification& call, int descriptor, FdRef placeholder,
                            const std::string& address, uint16_t port) {
  const bool nonblocking = IsNonblocking(placeholder);
  if (!held_.HasRoom() || (!nonblocking && waiting_.size() >= kMostWaiting)) {
    return Failure(ENOBUFS);
  }
  Outside::Connection connection = outside_.StartConnecting(address, port);
  hosts_.push_back(
      {NameOf(address, port), connection.socket.valid() ? 0 : connection.error_number});
  if (!connection.socket.valid()) return Failure(connection.error_number);
  CarryOptionsOver(placeholder, connection.socket);
  if (nonblocking) {
    return Give(std::move(connection.socket), descriptor, connection.error_number);
  }
  if (connection.error_number == EINPROGRESS) {
    waiting_.push_back(
        {.call = call, .descriptor = descriptor, .socket = std::move(connection.socket)});
    return Later();
  }
  if (!SetNonblocking(connection.socket, false)) return Failure(ENOBUFS);
  return Give(std::move(connection.socket), descriptor, 0);
}

Answer SocketCalls::ConnectToNames(int descriptor, FdRef placeholder, const Address& address) {
  sockaddr_un name = {};
  std::memcpy(&name, &address.storage, std::min(sizeof name, address.size));
  // The kernel, too, takes a path up to its NUL, or to the end of the address.
  const std::string path(name.sun_path, strnlen(name.sun_path, sizeof name.sun_path));
  if (path != kNameSocket) return Failure(kEnotcapable);
  UniqueFd end = names_.Open();
  if (!end.valid()) return Failure(errno);
  if (!IsNonblocking(placeholder) && !SetNonblocking(end, false)) return Failure(ENOBUFS);
  Answer answer = Result(0);
  answer.descriptor = std::move(end);
  answer.close_on_exec = true;
  answer.place = descriptor;
  return answer;
}

Answer SocketCalls::Give(UniqueFd socket, int descriptor, int error_number) {
  absl::StatusOr<UniqueFd> kept = Duplicate(socket);
  if (!kept.ok()) return Failure(ENOBUFS);
  held_.Add(*std::move(kept));
  Answer answer = error_number == 0 ? Result(0) : Failure(error_number);
  answer.descriptor = std::move(socket);
  answer.close_on_exec = true;
  answer.place = descriptor;
  return answer;
}

bool SocketCalls::IsWorkersOwn(FdRef socket) const {
  switch (Option(socket, SOL_SOCKET, SO_DOMAIN)) {
    case AF_INET:
    case AF_INET6:
      return Option(socket, SOL_SOCKET, SO_TYPE) == SOCK_STREAM &&
             // What a server accepts has its port.
             (StateOf(socket) == TCP_CLOSE || held_.Has(socket) ||
              served_ports_.count(PortOf(socket)) != 0);
    case AF_UNIX: {
      // Of a pair that the worker made. Who made others is outside, or nobody knows.
      ucred maker = {};
      return GetOption(socket, SOL_SOCKET, SO_PEERCRED, maker) && held_.IsCaller(maker.pid);
    }
    default:
      return false;
  }
}

std::optional<Answer> SocketCalls::OnSetFlags(const Notification& call, bool on) {
  const Opened socket = DuplicateFrom(call.thread(), Descriptor(call.argument(0)));
  if (!socket.fd.valid()) return Failure(socket.error_number);
  if (IsWorkersOwn(socket.fd)) {
    const bool more = call.call().nr == SYS_fcntl && !KeepsSharedFlags(socket.fd, call.argument(2));
    if (more) return Failure(EPERM);
    return SetNonblocking(socket.fd, on) ? Result(0) : Failure(EPERM);
  }
  if (call.call().nr != SYS_fcntl) return Failure(ENOTTY);
  return std::nullopt;
}

std::vector<NamedHost> SocketCalls::TakeHosts() {
  std::vector<NamedHost> hosts = names_.TakeHosts();
  hosts.insert(hosts.end(), hosts_.begin(), hosts_.end());
  hosts_.clear();
  return hosts;
}

void SocketCalls::AppendTo(std::vector<pollfd>& polled) const {
  names_.AppendTo(polled);
  for (const Waiting& waiting : waiting_) {
    polled.push_back({.fd = waiting.socket.get(), .events = POLLOUT, .revents = 0});
  }
}

void SocketCalls::GoOn(const std::vector<pollfd>& polled) {
  names_.Read(polled);
  std::erase_if(waiting_, [&](Waiting& waiting) {
    const bool ready = std::any_of(polled.begin(), polled.end(), [&](const pollfd& each) {
      return each.fd == waiting.socket.get() && each.revents != 0;
    });
    if (ready) Finish(waiting);
    return ready;
  });
  held_.LookIfDue();
}

void SocketCalls::Finish(Waiting& waiting) {
  const int error = Option(waiting.socket, SOL_SOCKET, SO_ERROR);
  if (error != 0) {
    waiting.call.Send(Failure(error > 0 ? error : ENOBUFS));
  } else if (StateOf(waiting.socket) == TCP_CLOSE) {
    waiting.call.Send(Failure(ECONNABORTED));  // the grant has ended meanwhile
  } else if (!waiting.call.IsWaiting() || !SetNonblocking(waiting.socket, false)) {
    shutdown(waiting.socket.get(), SHUT_RDWR);  // nobody closes it any more
    waiting.call.Send(Failure(EINTR));
  } else {
    waiting.call.Send(Give(std::move(waiting.socket), waiting.descriptor, 0));
  }
}

}  // namespace capbroker::sandbox
