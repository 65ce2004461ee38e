#include "services/dns/resolver_service.h"

#include <net/if.h>

#include <algorithm>
#include <atomic>
#include <optional>
#include <stop_token>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "authority/limits.h"
#include "services/hosts/address_order.h"
#include "services/hosts/dns_message.h"
#include "services/hosts/host_name.h"
#include "services/hosts/host_source.h"
#include "services/hosts/ip_address.h"
#include "serving/call.h"
#include "transport/grpc_status.h"

namespace capbroker::dns {
namespace {

using hosts::HostAnswer;
using hosts::HostName;
using hosts::HostQuestion;
using hosts::IpAddress;
using hosts::kMaxRecords;
using hosts::OrderAddresses;
using hosts::ParseHostName;

using LimitsPtr = std::shared_ptr<const authority::Limits>;

// Fit into a response, however long they are.
constexpr int kMaxNames = 128;
// How much of a peer's text an error message repeats.
constexpr size_t kQuotedBytes = 64;

std::string Quote(absl::string_view text) {
  return absl::StrCat("\"", absl::CHexEscape(text.substr(0, kQuotedBytes)), "\"");
}

// `reason` with the subject in front: resolve "db.corp": no such name.
grpc::Status Failed(absl::string_view subject, const absl::Status& reason) {
  return ToGrpcStatus(absl::Status(reason.code(), absl::StrCat(subject, ": ", reason.message())));
}

// A numeric address; unlike IpAddress::Parse with the names of interfaces as scopes.
std::optional<IpAddress> ParseNumericHost(absl::string_view text) {
  const size_t percent = text.find('%');
  if (percent == absl::string_view::npos || absl::StrContains(text, '\0')) {
    return IpAddress::Parse(text);
  }
  if (std::optional<IpAddress> address = IpAddress::Parse(text)) return address;
  const std::string interface(text.substr(percent + 1));
  const unsigned index = interface.size() < IF_NAMESIZE ? if_nametoindex(interface.c_str()) : 0;
  return IpAddress::Parse(absl::StrCat(text.substr(0, percent), "%", index));
}

struct Families {
  bool v4 = false;
  bool v6 = false;
};

// Those that are asked for; if none are, those of the limits.
std::optional<Families> FamiliesOf(const v1::ResolveRequest& request,
                                   const authority::Limits& limits) {
  Families families;
  for (int family : request.families()) {
    if (family != v1::ADDRESS_FAMILY_INET && family != v1::ADDRESS_FAMILY_INET6) {
      return std::nullopt;
    }
    (family == v1::ADDRESS_FAMILY_INET ? families.v4 : families.v6) = true;
  }
  if (request.families().empty()) {
    families.v4 = limits.SetContains("families", int64_t{v1::ADDRESS_FAMILY_INET});
    families.v6 = limits.SetContains("families", int64_t{v1::ADDRESS_FAMILY_INET6});
  }
  return families;
}

// Without repetitions and what the limits do not allow.
std::vector<IpAddress> AllowedAddresses(const std::vector<IpAddress>& addresses,
                                        const authority::Limits& limits) {
  std::vector<IpAddress> allowed;
  for (const IpAddress& address : addresses) {
    // INVARIANT(object-checked-after-look): a granted name must not lead to an address
    // that was not granted, whoever answers for the name.
    if (limits.ContainsAddress("address_ranges", address.packed()) &&
        std::find(allowed.begin(), allowed.end(), address) == allowed.end()) {
      allowed.push_back(address);
    }
    if (allowed.size() == kMaxRecords) break;
  }
  return allowed;
}

grpc::Status FillResponse(const HostAnswer& answer, uint16_t port, bool canonical_name,
                          const serving::Call& call, v1::ResolveResponse* response) {
  const std::vector<IpAddress> allowed = AllowedAddresses(answer.addresses, *call.limits());
  if (allowed.empty()) return call.Refuse("address_ranges");
  for (const IpAddress& address : OrderAddresses(allowed)) {
    v1::Endpoint* const endpoint = response->add_endpoints();
    endpoint->set_address(address.packed().data(), address.packed().size());
    endpoint->set_port(port);
    endpoint->set_scope_id(address.scope_id());
  }
  if (canonical_name) response->set_canonical_name(answer.canonical_name);
  response->set_ttl_seconds(answer.ttl_seconds);
  return grpc::Status::OK;
}

grpc::Status FillResponse(const HostAnswer& answer, const serving::Call& call,
                          v1::ReverseResolveResponse* response) {
  for (const std::string& name : answer.names) {
    // INVARIANT(object-checked-after-look)
    if (!call.limits()->MatchesName("names", name)) continue;
    const auto& names = response->names();
    if (std::find(names.begin(), names.end(), name) == names.end()) response->add_names(name);
    if (response->names_size() == kMaxNames) break;
  }
  if (response->names().empty()) return call.Refuse("names");
  response->set_ttl_seconds(answer.ttl_seconds);
  return grpc::Status::OK;
}

}  // namespace

// The answer to one call: given once, by whoever comes first of the lookup and the
// cancellation. Owns itself until gRPC is done with it.
class ResolverService::Reply : public grpc::ServerUnaryReactor,
                               public std::enable_shared_from_this<Reply> {
 public:
  static std::shared_ptr<Reply> Make() {
    auto reply = std::make_shared<Reply>();
    reply->self_ = reply;
    return reply;
  }

  std::stop_token stop() const { return stop_.get_token(); }

  // Finishes the call with what `make_status` gives. Context, request, response and
  // serving::Call are there while it runs, and only if it runs.
  template <typename MakeStatus>
  void Answer(MakeStatus make_status) {
    if (!answered_.exchange(true)) Finish(make_status());
  }

  void OnCancel() override {
    const std::shared_ptr<Reply> keep = shared_from_this();
    Answer([] { return grpc::Status(grpc::StatusCode::CANCELLED, "cancelled by the caller"); });
    stop_.request_stop();
  }

  void OnDone() override { const std::shared_ptr<Reply> last = std::move(self_); }

 private:
  std::shared_ptr<Reply> self_;
  std::stop_source stop_;
  std::atomic<bool> answered_{false};
};

ResolverService::ResolverService(ResolverOptions options)
    : services_(std::move(options.services_path), &ServicesFile::Parse),
      hosts_(std::move(options.hosts)) {}

serving::ServiceNeeds ResolverService::Needs() { return Needs(ResolverOptions()); }

serving::ServiceNeeds ResolverService::Needs(const ResolverOptions& options) {
  serving::ServiceNeeds needs = hosts::HostNeeds(options.hosts);
  needs.reads.push_back(options.services_path);
  return needs;
}

void ResolverService::Prepare() { hosts::LoadHostModules(hosts::HostDatabaseOptions()); }

absl::StatusOr<uint16_t> ResolverService::PortOf(absl::string_view service) {
  if (service.empty()) return uint16_t{0};
  if (std::all_of(service.begin(), service.end(), absl::ascii_isdigit)) {
    uint32_t port = 0;
    if (!absl::SimpleAtoi(service, &port) || port > 65535) {
      return absl::InvalidArgumentError("no port number");
    }
    return static_cast<uint16_t>(port);
  }
  if (const std::optional<uint16_t> port = services_.Get()->Find(service)) return *port;
  return absl::NotFoundError("no such service");
}

// TRUST(worker): the checker has looked at what the limits bound, and nobody at the
// rest of the request.
grpc::ServerUnaryReactor* ResolverService::Resolve(grpc::CallbackServerContext* context,
                                                   const v1::ResolveRequest* request,
                                                   v1::ResolveResponse* response) {
  const serving::Call* const call = &serving::Call::Of(context);
  const LimitsPtr limits = call->limits();
  const std::shared_ptr<Reply> reply = Reply::Make();
  const std::string subject = absl::StrCat("resolve ", Quote(request->name()));
  const auto fail = [&](const absl::Status& status) {
    reply->Answer([&] { return Failed(subject, status); });
    return reply.get();
  };

  const absl::StatusOr<uint16_t> port = PortOf(request->service());
  if (!port.ok()) return fail(port.status());
  const std::optional<Families> families = FamiliesOf(*request, *limits);
  if (!families.has_value()) return fail(absl::InvalidArgumentError("an unspecified family"));

  const bool canonical_name = request->canonical_name();
  if (const std::optional<IpAddress> number = ParseNumericHost(request->name())) {
    if (!(number->is_v4() ? families->v4 : families->v6)) {
      return fail(absl::NotFoundError("no address of the family"));
    }
    HostAnswer answer;
    answer.addresses = {*number};
    answer.canonical_name = request->name();
    reply->Answer([&] { return FillResponse(answer, *port, canonical_name, *call, response); });
    return reply.get();
  }
  if (request->numeric_only()) return fail(absl::InvalidArgumentError("not a numeric address"));
  absl::StatusOr<HostName> name = ParseHostName(request->name());
  if (!name.ok()) return fail(name.status());

  HostQuestion question;
  question.name = *std::move(name);
  question.v4 = families->v4;
  question.v6 = families->v6;
  question.may_ask = [limits](absl::string_view other) {
    return limits->MatchesName("names", other);
  };
  hosts_.Ask(std::move(question), reply->stop(),
             [reply, call, response, subject, port = *port,
              canonical_name](absl::StatusOr<HostAnswer> answer) {
               reply->Answer([&] {
                 if (!answer.ok()) return Failed(subject, answer.status());
                 return FillResponse(*answer, port, canonical_name, *call, response);
               });
             });
  return reply.get();
}

grpc::ServerUnaryReactor* ResolverService::ReverseResolve(grpc::CallbackServerContext* context,
                                                          const v1::ReverseResolveRequest* request,
                                                          v1::ReverseResolveResponse* response) {
  const serving::Call* const call = &serving::Call::Of(context);
  const std::shared_ptr<Reply> reply = Reply::Make();
  const std::optional<IpAddress> address = IpAddress::FromPacked(request->address());
  if (!address.has_value()) {
    reply->Answer([] {
      return Failed("reverse resolve", absl::InvalidArgumentError("an address has 4 or 16 bytes"));
    });
    return reply.get();
  }
  HostQuestion question;
  question.address = address->Unmapped();
  hosts_.Ask(std::move(question), reply->stop(),
             [reply, call, response, subject = absl::StrCat("reverse resolve ", address->ToText())](
                 absl::StatusOr<HostAnswer> answer) {
               reply->Answer([&] {
                 if (!answer.ok()) return Failed(subject, answer.status());
                 return FillResponse(*answer, *call, response);
               });
             });
  return reply.get();
}

}  // namespace capbroker::dns
