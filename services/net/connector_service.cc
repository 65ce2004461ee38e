#include "services/net/connector_service.h"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <optional>
#include <stop_token>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "authority/limits.h"
#include "base/status_macros.h"
#include "services/hosts/address_order.h"
#include "services/hosts/host_name.h"
#include "services/hosts/ip_address.h"
#include "services/net/dialing.h"
#include "transport/grpc_status.h"

namespace capbroker::net {
namespace {

using hosts::HostAnswer;
using hosts::HostName;
using hosts::HostQuestion;
using hosts::IpAddress;

// Of one answer.
constexpr size_t kMaxAddresses = 64;
// How much of a peer's text an error message repeats.
constexpr size_t kQuotedBytes = 64;
// An attempt ends after this, whatever the caller's deadline is.
constexpr absl::Duration kLongest = absl::Seconds(120);
// How soon it is seen that the caller has given up.
constexpr absl::Duration kLook = absl::Milliseconds(100);

std::string Subject(absl::string_view verb, absl::string_view name) {
  return absl::StrCat(verb, " \"", absl::CHexEscape(name.substr(0, kQuotedBytes)), "\"");
}

// `reason` with the subject in front, and the denial if it has one.
grpc::Status Failed(absl::string_view subject, const absl::Status& reason) {
  absl::Status status(reason.code(), absl::StrCat(subject, ": ", reason.message()));
  reason.ForEachPayload(
      [&status](absl::string_view url, const absl::Cord& bytes) { status.SetPayload(url, bytes); });
  return ToGrpcStatus(status);
}

absl::Time DeadlineOf(const grpc::ServerContext& context) {
  return std::min(absl::FromChrono(context.deadline()), absl::Now() + kLongest);
}

// INVALID_ARGUMENT, for 0 is no port to connect to.
absl::StatusOr<uint16_t> PortOf(uint32_t port) {
  if (port == 0 || port > 65535) return absl::InvalidArgumentError("no port number");
  return static_cast<uint16_t>(port);
}

// What "localhost" is, without asking anybody (RFC 6761): some programs do not ask.
bool IsLoopback(const IpAddress& address) {
  return address == *IpAddress::Parse("127.0.0.1") || address == *IpAddress::Parse("::1");
}

bool SetBlocking(FdRef socket) {
  const int flags = fcntl(socket.get(), F_GETFL);
  return flags >= 0 && fcntl(socket.get(), F_SETFL, flags & ~O_NONBLOCK) == 0;
}

// OK while somebody waits for the answer. Whoever of the two sides sees the deadline first, the
// caller is told the same.
absl::Status StillAwaited(const grpc::ServerContext& context) {
  if (absl::Now() >= absl::FromChrono(context.deadline())) {
    return absl::DeadlineExceededError("nobody answered in time");
  }
  if (context.IsCancelled()) return absl::CancelledError("cancelled by the caller");
  return absl::OkStatus();
}

v1::ConnectAddressResponse::Outcome OutcomeOf(int error_number) {
  using Response = v1::ConnectAddressResponse;
  switch (error_number) {
    case 0:
      return Response::CONNECTED;
    case EINPROGRESS:
      return Response::IN_PROGRESS;
    case ECONNREFUSED:
      return Response::REFUSED;
    case ENETUNREACH:
      return Response::NETWORK_UNREACHABLE;
    case EHOSTUNREACH:
      return Response::HOST_UNREACHABLE;
    case ETIMEDOUT:
      return Response::TIMED_OUT;
    default:
      return Response::FAILED;
  }
}

// Without repetitions and what the limits do not allow, in the order to be tried in.
std::vector<IpAddress> AllowedAddresses(const std::vector<IpAddress>& addresses,
                                        const authority::Limits& limits) {
  std::vector<IpAddress> allowed;
  for (const IpAddress& found : addresses) {
    const IpAddress address = found.Unmapped();
    // A link's addresses mean something on that link only.
    if (address.is_link_local_v6()) continue;
    // INVARIANT(object-checked-after-look): a granted name must not lead to an address that was
    // not granted, whoever answers for the name.
    if (limits.ContainsAddress("address_ranges", address.packed()) &&
        std::find(allowed.begin(), allowed.end(), address) == allowed.end()) {
      allowed.push_back(address);
    }
    if (allowed.size() == kMaxAddresses) break;
  }
  return hosts::OrderAddresses(allowed);
}

// An answer that comes on another thread.
struct Pending {
  absl::Mutex mutex;
  std::optional<absl::StatusOr<HostAnswer>> answer ABSL_GUARDED_BY(mutex);
};

}  // namespace

serving::ServiceNeeds ConnectorService::Needs() { return Needs(hosts::HostDatabaseOptions()); }

serving::ServiceNeeds ConnectorService::Needs(const hosts::HostDatabaseOptions& options) {
  serving::ServiceNeeds needs = hosts::HostNeeds(options);
  needs.as_opened = [of_hosts = std::move(needs.as_opened)](const google::protobuf::Any& any,
                                                            const google::protobuf::Any& settings) {
    serving::ServiceReach reach = of_hosts(any, settings);
    v1::ConnectorLimits limits;
    if (!any.UnpackTo(&limits)) return reach;
    for (const std::string& port : limits.ports()) {
      uint32_t number = 0;
      if (port == "*") {
        reach.all_tcp_ports = true;
      } else if (absl::SimpleAtoi(port, &number) && number <= 65535) {
        reach.tcp_ports.push_back(static_cast<uint16_t>(number));
      }
    }
    return reach;
  };
  return needs;
}

void ConnectorService::Prepare() { hosts::LoadHostModules(hosts::HostDatabaseOptions()); }

ConnectorService::ConnectorService(hosts::HostDatabaseOptions options)
    : hosts_(std::move(options)) {}

ConnectorService::Families ConnectorService::FamiliesOf(
    const google::protobuf::RepeatedField<int>& wanted, const authority::Limits& limits) {
  const auto has = [&](v1::AddressFamily family) {
    if (wanted.empty()) return limits.SetContains("families", int64_t{family});
    return std::find(wanted.begin(), wanted.end(), int{family}) != wanted.end();
  };
  return {.v4 = has(v1::ADDRESS_FAMILY_INET), .v6 = has(v1::ADDRESS_FAMILY_INET6)};
}

absl::StatusOr<HostAnswer> ConnectorService::Ask(grpc::ServerContext* context,
                                                 const serving::Call& call, const std::string& name,
                                                 Families families) {
  HostQuestion question;
  CB_ASSIGN_OR_RETURN(question.name, hosts::ParseHostName(name));
  question.v4 = families.v4;
  question.v6 = families.v6;
  question.may_ask = [limits = call.limits()](absl::string_view other) {
    return limits->MatchesName("names", other);
  };
  const absl::Time until = DeadlineOf(*context);
  const auto pending = std::make_shared<Pending>();
  std::stop_source stop;
  hosts_.Ask(std::move(question), stop.get_token(), [pending](absl::StatusOr<HostAnswer> answer) {
    const absl::MutexLock lock(&pending->mutex);
    pending->answer = std::move(answer);
  });
  const absl::MutexLock lock(&pending->mutex);
  const auto answered = [&pending]()
                            ABSL_NO_THREAD_SAFETY_ANALYSIS { return pending->answer.has_value(); };
  while (!pending->mutex.AwaitWithTimeout(absl::Condition(&answered), kLook)) {
    const absl::Status awaited = StillAwaited(*context);
    if (awaited.ok() && absl::Now() < until) continue;
    stop.request_stop();
    return awaited.ok() ? absl::DeadlineExceededError("nobody answered in time") : awaited;
  }
  return *std::move(pending->answer);
}

absl::StatusOr<HostAnswer> ConnectorService::Find(grpc::ServerContext* context,
                                                  const serving::Call& call,
                                                  const std::string& name, Families families) {
  HostAnswer answer;
  if (const std::optional<IpAddress> number = IpAddress::Parse(name)) {
    if (!(number->is_v4() ? families.v4 : families.v6)) {
      return absl::NotFoundError("no address of the family");
    }
    answer.addresses = {*number};
    answer.canonical_name = name;
  } else {
    CB_ASSIGN_OR_RETURN(answer, Ask(context, call, name, families));
  }
  answer.addresses = AllowedAddresses(answer.addresses, *call.limits());
  if (answer.addresses.empty()) return FromGrpcStatus(call.Refuse("address_ranges"));
  return answer;
}

// TRUST(worker): the checker has looked at what the limits bound, and nobody at the rest of the
// request.
grpc::Status ConnectorService::Connect(grpc::ServerContext* context,
                                       const v1::ConnectRequest* request,
                                       v1::ConnectResponse* response) {
  serving::Call& call = serving::Call::Of(context);
  const std::string subject = Subject("connect to", request->name());
  if (!call.CanAttach()) return call.Attach(UniqueFd(), response->mutable_connection());
  const absl::StatusOr<uint16_t> port = PortOf(request->port());
  if (!port.ok()) return Failed(subject, port.status());
  const absl::StatusOr<HostAnswer> found =
      Find(context, call, request->name(), FamiliesOf(request->families(), *call.limits()));
  if (!found.ok()) return Failed(subject, found.status());

  FirstDialed first = DialFirst(found->addresses, *port, DeadlineOf(*context),
                                [context] { return context->IsCancelled(); });
  if (!first.dialed.socket.valid()) {
    const absl::Status awaited = StillAwaited(*context);
    return Failed(subject, awaited.ok() ? absl::UnavailableError("no address could be connected to")
                                        : awaited);
  }
  if (!request->nonblocking() && !SetBlocking(first.dialed.socket)) {
    return Failed(subject, absl::InternalError("no blocking socket"));
  }
  const IpAddress& address = found->addresses[first.index];
  response->set_address(address.packed().data(), address.packed().size());
  return call.Attach(std::move(first.dialed.socket), response->mutable_connection());
}

grpc::Status ConnectorService::Lookup(grpc::ServerContext* context,
                                      const v1::LookupRequest* request,
                                      v1::LookupResponse* response) {
  const serving::Call& call = serving::Call::Of(context);
  const absl::StatusOr<HostAnswer> found =
      Find(context, call, request->name(), FamiliesOf(request->families(), *call.limits()));
  if (!found.ok()) return Failed(Subject("look up", request->name()), found.status());
  for (const IpAddress& address : found->addresses) {
    known_.Remember(address, request->name());
    response->add_addresses(address.packed().data(), address.packed().size());
  }
  response->set_canonical_name(found->canonical_name);
  response->set_ttl_seconds(found->ttl_seconds);
  return grpc::Status::OK;
}

grpc::Status ConnectorService::ConnectAddress(grpc::ServerContext* context,
                                              const v1::ConnectAddressRequest* request,
                                              v1::ConnectAddressResponse* response) {
  constexpr char kSubject[] = "connect to an address";
  serving::Call& call = serving::Call::Of(context);
  if (!call.CanAttach()) return call.Attach(UniqueFd(), response->mutable_connection());
  const absl::StatusOr<uint16_t> port = PortOf(request->port());
  if (!port.ok()) return Failed(kSubject, port.status());
  std::optional<IpAddress> address = IpAddress::FromPacked(request->address());
  if (!address.has_value() || address->is_link_local_v6()) {
    return Failed(kSubject, absl::InvalidArgumentError("4 or 16 bytes, and of no link"));
  }
  address = address->Unmapped();
  const authority::Limits& limits = *call.limits();
  const v1::AddressFamily family =
      address->is_v4() ? v1::ADDRESS_FAMILY_INET : v1::ADDRESS_FAMILY_INET6;
  if (!limits.SetContains("families", int64_t{family})) return call.Refuse("families");
  // INVARIANT(object-checked-after-look): by the limits of this channel, which may be narrower
  // than those of the one that asked for the name.
  const auto allowed = [&limits](absl::string_view name) {
    return limits.MatchesName("names", name);
  };
  const bool named = allowed(address->ToText()) || (IsLoopback(*address) && allowed("localhost"));
  if (!named && !known_.Has(*address, allowed)) return call.Refuse("names");

  Dialed dialed = request->nonblocking() ? StartDialing(*address, *port)
                                         : Dial(*address, *port, DeadlineOf(*context),
                                                [context] { return context->IsCancelled(); });
  if (!dialed.socket.valid()) {
    const absl::Status awaited = StillAwaited(*context);
    if (!awaited.ok()) return Failed(kSubject, awaited);
    response->set_outcome(OutcomeOf(dialed.error_number));
    return grpc::Status::OK;
  }
  response->set_outcome(OutcomeOf(dialed.error_number));
  if (!request->nonblocking() && !SetBlocking(dialed.socket)) {
    return Failed(kSubject, absl::InternalError("no blocking socket"));
  }
  return call.Attach(std::move(dialed.socket), response->mutable_connection());
}

}  // namespace capbroker::net
