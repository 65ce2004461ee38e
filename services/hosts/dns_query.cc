#include "services/hosts/dns_query.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cstring>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace capbroker::hosts {
namespace {

// Fits into the packets of every path, so that nothing is fragmented (and no
// fragment forged).
constexpr uint16_t kEdnsBytes = 1232;

// The sockets of c-ares: close-on-exec from birth, never a SIGPIPE, and with the
// scopes of link-local servers, which c-ares leaves out.

ares_socket_t OpenSocket(int family, int type, int protocol, void* /*conf*/) {
  const int fd = socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol);
  const int on = 1;
  // Queries are small, and nothing follows them.
  if (fd >= 0 && type == SOCK_STREAM) setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  return fd;
}

int CloseSocket(ares_socket_t fd, void* /*conf*/) { return close(fd); }

int ConnectSocket(ares_socket_t fd, const sockaddr* target, ares_socklen_t length, void* conf) {
  sockaddr_in6 v6 = {};
  if (target->sa_family != AF_INET6 || length != sizeof(v6)) return connect(fd, target, length);
  std::memcpy(&v6, target, sizeof(v6));
  const absl::string_view address(reinterpret_cast<const char*>(&v6.sin6_addr), 16);
  for (const NameServer& server : static_cast<const ResolvConf*>(conf)->servers) {
    if (server.address.packed() == address) v6.sin6_scope_id = server.address.scope_id();
  }
  return connect(fd, reinterpret_cast<const sockaddr*>(&v6), sizeof(v6));
}

ares_ssize_t ReceiveFrom(ares_socket_t fd, void* data, size_t size, int flags, sockaddr* from,
                         ares_socklen_t* length, void* /*conf*/) {
  return recvfrom(fd, data, size, flags, from, length);
}

ares_ssize_t SendParts(ares_socket_t fd, const iovec* parts, int count, void* /*conf*/) {
  msghdr message = {};
  message.msg_iov = const_cast<iovec*>(parts);
  message.msg_iovlen = static_cast<size_t>(count);
  return sendmsg(fd, &message, MSG_NOSIGNAL);
}

constexpr ares_socket_functions kSocketFunctions = {.asocket = &OpenSocket,
                                                    .aclose = &CloseSocket,
                                                    .aconnect = &ConnectSocket,
                                                    .arecvfrom = &ReceiveFrom,
                                                    .asendv = &SendParts};

}  // namespace

DnsQuery::DnsQuery(std::string name, RecordType type, std::shared_ptr<const ResolvConf> conf,
                   size_t first_server)
    : name_(std::move(name)),
      type_(type),
      conf_(std::move(conf)),
      first_server_(first_server),
      result_(absl::UnavailableError("no name server answered")) {
  // The id is the secret that an answer has to know. c-ares would take it from
  // /dev/urandom, which a confined process cannot open, and fall back on rand(3).
  uint16_t id;
  if (!OpenChannel() || getrandom(&id, sizeof(id), 0) != sizeof(id)) {
    finished_ = true;
    return;
  }
  const std::string query = MakeDnsQuery(id, name_, type_, kEdnsBytes);
  ares_send(channel_, reinterpret_cast<const unsigned char*>(query.data()),
            static_cast<int>(query.size()), &OnAnswer, this);
}

DnsQuery::~DnsQuery() {
  // c-ares calls back for what is outstanding.
  finished_ = true;
  if (channel_ != nullptr) ares_destroy(channel_);
}

bool DnsQuery::OpenChannel() {
  // Everything is said, so that c-ares reads no file and no variable by itself.
  ares_options options = {};
  options.flags = ARES_FLAG_NOSEARCH | ARES_FLAG_NOALIASES | ARES_FLAG_EDNS;
  if (conf_->tcp_only) options.flags |= ARES_FLAG_USEVC;
  options.timeout = static_cast<int>(absl::ToInt64Milliseconds(conf_->timeout));
  options.tries = conf_->attempts;
  options.ndots = 1;
  options.ednspsz = kEdnsBytes;
  char lookups[] = "b";
  options.lookups = lookups;
  char no_file[] = "/dev/null";
  options.resolvconf_path = no_file;
  constexpr int kSaid = ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_NDOTS |
                        ARES_OPT_SERVERS | ARES_OPT_DOMAINS | ARES_OPT_LOOKUPS | ARES_OPT_SORTLIST |
                        ARES_OPT_EDNSPSZ | ARES_OPT_NOROTATE | ARES_OPT_RESOLVCONF;
  if (ares_init_options(&channel_, &options, kSaid) != ARES_SUCCESS) {
    channel_ = nullptr;
    return false;
  }
  std::vector<ares_addr_port_node> nodes(conf_->servers.size());
  for (size_t i = 0; i < nodes.size(); ++i) {
    const NameServer& server = conf_->servers[(first_server_ + i) % nodes.size()];
    nodes[i].next = i + 1 < nodes.size() ? &nodes[i + 1] : nullptr;
    nodes[i].family = server.address.is_v4() ? AF_INET : AF_INET6;
    std::memcpy(&nodes[i].addr, server.address.packed().data(), server.address.packed().size());
    nodes[i].udp_port = nodes[i].tcp_port = server.port;
  }
  ares_set_socket_functions(channel_, &kSocketFunctions, const_cast<ResolvConf*>(conf_.get()));
  return ares_set_servers_ports(channel_, nodes.data()) == ARES_SUCCESS;
}

// c-ares has checked the sender, the id and the question, and has tried the other
// servers when one said that it could not tell.
void DnsQuery::OnAnswer(void* arg, int status, int timeouts, unsigned char* message, int length) {
  DnsQuery& query = *static_cast<DnsQuery*>(arg);
  if (query.finished_) return;
  query.finished_ = true;
  if (status != ARES_SUCCESS || message == nullptr) return;
  query.result_ = ParseDnsAnswer(
      absl::string_view(reinterpret_cast<const char*>(message), static_cast<size_t>(length)),
      query.name_, query.type_);
  const size_t silent = static_cast<size_t>(timeouts);
  if (silent > 0 && silent < query.conf_->servers.size()) {
    query.answering_server_ = (query.first_server_ + silent) % query.conf_->servers.size();
  }
}

absl::Duration DnsQuery::Patience() const {
  timeval wait = {};
  if (ares_timeout(channel_, nullptr, &wait) == nullptr) return absl::InfiniteDuration();
  return absl::DurationFromTimeval(wait);
}

void DnsQuery::AddPolls(std::vector<pollfd>& polls) const {
  ares_socket_t sockets[ARES_GETSOCK_MAXNUM];
  const unsigned wanted =
      static_cast<unsigned>(ares_getsock(channel_, sockets, ARES_GETSOCK_MAXNUM));
  for (unsigned i = 0; i < ARES_GETSOCK_MAXNUM; ++i) {
    short events = 0;
    if (ARES_GETSOCK_READABLE(wanted, i)) events |= POLLIN;
    if (ARES_GETSOCK_WRITABLE(wanted, i)) events |= POLLOUT;
    if (events != 0) polls.push_back({.fd = sockets[i], .events = events, .revents = 0});
  }
}

void DnsQuery::Process(const pollfd& poll) {
  const bool failed = (poll.revents & (POLLERR | POLLHUP)) != 0;
  const bool readable = failed || (poll.revents & POLLIN) != 0;
  const bool writable = failed || (poll.revents & POLLOUT) != 0;
  ares_process_fd(channel_, readable ? poll.fd : ARES_SOCKET_BAD,
                  writable ? poll.fd : ARES_SOCKET_BAD);
}

}  // namespace capbroker::hosts
