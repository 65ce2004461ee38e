#include "serving/channel/deliveries.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "authority/denial.h"
#include "base/status_macros.h"
#include "capbroker/v1/authority.pb.h"

namespace capbroker::serving {
namespace {

// Entries that the broker takes.
constexpr int kMostTold = 64;
constexpr char kLeasesOfChannel[] = "leases_of_channel";

// Seconds of silence before the first probe, between two, and how many.
constexpr int kProbesAfter = 60;
constexpr int kProbesEvery = 15;
constexpr int kProbes = 4;

int Option(FdRef socket, int option) {
  int value = -1;
  socklen_t size = sizeof value;
  return getsockopt(socket.get(), SOL_SOCKET, option, &value, &size) == 0 ? value : -1;
}

// What is known to end by shutdown(2), for all its descriptors.
enum class Family { kNone, kUnix, kTcp };

Family FamilyOf(FdRef socket) {
  if (Option(socket, SO_TYPE) != SOCK_STREAM) return Family::kNone;
  switch (Option(socket, SO_DOMAIN)) {
    case AF_UNIX:
      return Family::kUnix;
    case AF_INET:
    case AF_INET6:
      return Option(socket, SO_PROTOCOL) == IPPROTO_TCP ? Family::kTcp : Family::kNone;
    default:
      return Family::kNone;
  }
}

// Both ways: neither end can send any more.
bool HasEnded(FdRef connection) {
  pollfd polled = {connection.get(), 0, 0};
  return poll(&polled, 1, 0) > 0 && (polled.revents & POLLHUP) != 0;
}

// A TCP connection may be on its way, or be to come to a socket that listens; shutdown(2) ends
// that, too.
bool IsConnected(FdRef socket, Family family) {
  if (family == Family::kTcp) {
    tcp_info info = {};
    socklen_t size = sizeof info;
    if (getsockopt(socket.get(), IPPROTO_TCP, TCP_INFO, &info, &size) != 0) return false;
    if (info.tcpi_state == TCP_SYN_SENT || info.tcpi_state == TCP_LISTEN) return true;
  }
  sockaddr_storage peer;
  socklen_t size = sizeof peer;
  return getpeername(socket.get(), reinterpret_cast<sockaddr*>(&peer), &size) == 0 &&
         !HasEnded(socket);
}

// So that a peer that is gone is noticed, when nobody sends. What is accepted would inherit it.
void KeepAlive(FdRef connection) {
  if (Option(connection, SO_KEEPALIVE) == 1 || Option(connection, SO_ACCEPTCONN) == 1) return;
  const auto set = [connection](int level, int option, int value) {
    (void)setsockopt(connection.get(), level, option, &value, sizeof value);
  };
  set(IPPROTO_TCP, TCP_KEEPIDLE, kProbesAfter);
  set(IPPROTO_TCP, TCP_KEEPINTVL, kProbesEvery);
  set(IPPROTO_TCP, TCP_KEEPCNT, kProbes);
  set(SOL_SOCKET, SO_KEEPALIVE, 1);
}

}  // namespace

bool IsLeased(const google::protobuf::FieldDescriptor& field) {
  return field.options().GetExtension(v1::rights).lease() == v1::DescriptorRights::SHUT_DOWN;
}

Deliveries::~Deliveries() { End(); }

absl::StatusOr<Deliveries::Lease> Deliveries::MakeLease(const authority::MethodSchema& method,
                                                        FdRef connection) {
  const Family family = FamilyOf(connection);
  if (family == Family::kNone || loop_ == nullptr) {
    return absl::InternalError("lease: no connection that can be shut down");
  }
  if (!IsConnected(connection, family)) {
    return absl::UnavailableError("lease: the connection has ended");
  }
  Lease lease;
  if (budget_ != nullptr) {
    CB_ASSIGN_OR_RETURN(lease.charge, budget_->ChargeLease(method));
  }
  absl::StatusOr<UniqueFd> duplicate = Duplicate(connection);
  if (!duplicate.ok()) return absl::ResourceExhaustedError("lease: no descriptor for it");
  lease.connection = *std::move(duplicate);
  if (family == Family::kTcp) KeepAlive(lease.connection);
  return lease;
}

absl::Status Deliveries::Add(const authority::MethodSchema& method,
                             absl::Span<const NamedDescriptor> descriptors) {
  {
    absl::MutexLock lock(&mutex_);
    DropEnded();
  }
  std::vector<Lease> fresh;
  for (const NamedDescriptor& descriptor : descriptors) {
    if (!IsLeased(*descriptor.field)) continue;
    CB_ASSIGN_OR_RETURN(Lease lease, MakeLease(method, descriptor.fd));
    fresh.push_back(std::move(lease));
  }
  absl::MutexLock lock(&mutex_);
  if (ended_) return absl::UnavailableError("the channel is closed");
  if (leases_.size() + fresh.size() > kMostLeases) {
    return authority::ToStatus(
        authority::MakeRefusal(v1::Denial::BUDGET_EXHAUSTED, kLeasesOfChannel, method.name()));
  }
  for (Lease& lease : fresh) {
    const uint64_t id = next_lease_++;
    Watch(id, leases_.emplace(id, std::move(lease)).first->second);
  }
  for (const NamedDescriptor& descriptor : descriptors) {
    if (!IsLeased(*descriptor.field)) ++not_leased_[{&method, descriptor.field}];
  }
  return absl::OkStatus();
}

void Deliveries::Watch(uint64_t id, Lease& lease) {
  // No event but its end, which is always told.
  absl::StatusOr<uint64_t> watch =
      loop_->Add(lease.connection, 0, [weak = weak_from_this(), id](uint32_t events) {
        if (const auto self = weak.lock()) self->OnEvent(id, events);
        return Left::kNothing;
      });
  if (watch.ok()) lease.watch = *watch;
}

void Deliveries::Unwatch(Lease& lease) {
  if (lease.watch != 0) loop_->Remove(std::exchange(lease.watch, 0), lease.connection);
}

void Deliveries::OnEvent(uint64_t lease, uint32_t events) {
  absl::MutexLock lock(&mutex_);
  const auto found = leases_.find(lease);
  if (found == leases_.end()) return;
  Unwatch(found->second);
  // INVARIANT(nobody-spins-for-a-stranger): errors that are no end, of which a holder can make
  // as many as it likes, are told once.
  if ((events & EPOLLHUP) != 0) leases_.erase(found);
}

void Deliveries::DropEnded() {
  for (auto lease = leases_.begin(); lease != leases_.end();) {
    if (!HasEnded(lease->second.connection)) {
      ++lease;
      continue;
    }
    Unwatch(lease->second);
    lease = leases_.erase(lease);
  }
}

void Deliveries::End() {
  absl::MutexLock lock(&mutex_);
  if (std::exchange(ended_, true)) return;
  // INVARIANT(leases-end-with-their-channel)
  for (auto& [id, lease] : leases_) {
    if (!HasEnded(lease.connection)) ++shut_down_;
    shutdown(lease.connection.get(), SHUT_RDWR);
    Unwatch(lease);
  }
  leases_.clear();
}

void Deliveries::Tell(google::protobuf::RepeatedPtrField<v1::Delivery>* deliveries) const {
  absl::MutexLock lock(&mutex_);
  for (const auto& [source, descriptors] : not_leased_) {
    if (deliveries->size() == kMostTold) return;
    v1::Delivery* const delivery = deliveries->Add();
    delivery->set_method(source.first->name());
    delivery->set_field(source.second->name());
    delivery->set_descriptors(descriptors);
  }
}

uint64_t Deliveries::shut_down() const {
  absl::MutexLock lock(&mutex_);
  return shut_down_;
}

size_t Deliveries::leases() const {
  absl::MutexLock lock(&mutex_);
  return leases_.size();
}

}  // namespace capbroker::serving
