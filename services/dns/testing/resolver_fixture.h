// A resolver service whose files the test writes, called directly.
//
// Lives in: test programs.
#ifndef SERVICES_DNS_TESTING_RESOLVER_FIXTURE_H_
#define SERVICES_DNS_TESTING_RESOLVER_FIXTURE_H_

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "authority/limits.h"
#include "authority/schema.h"
#include "base/status_macros.h"
#include "base/status_matchers.h"
#include "capbroker/dns/v1/resolver.pb.h"
#include "services/dns/resolver_service.h"
#include "services/dns/testing/direct_call.h"
#include "services/hosts/ip_address.h"
#include "services/hosts/testing/dns_server.h"

namespace capbroker::dns {

using hosts::DnsServer;
using hosts::IpAddress;

inline const authority::ServiceSchema& Schema() {
  static const authority::ServiceSchema& schema =
      *authority::ServiceSchema::Compile(
           *v1::ResolveRequest::descriptor()->file()->FindServiceByName("Resolver"))
           ->release();
  return schema;
}

inline constexpr char kEverything[] = R"(
  names: "*" families: [ADDRESS_FAMILY_INET, ADDRESS_FAMILY_INET6]
  directions: [DIRECTION_FORWARD, DIRECTION_REVERSE]
  address_ranges: ["0.0.0.0/0", "::/0"])";

inline std::shared_ptr<const authority::Limits> LimitsOf(const std::string& text) {
  auto limits = authority::Limits::CompileText(Schema(), text);
  EXPECT_OK(limits);
  return *limits;
}

inline std::vector<std::string> Addresses(const v1::ResolveResponse& response) {
  std::vector<std::string> addresses;
  for (const v1::Endpoint& endpoint : response.endpoints()) {
    addresses.push_back(IpAddress::FromPacked(endpoint.address(), endpoint.scope_id())->ToText());
  }
  return addresses;
}

// A resolver whose files the test writes.
class ResolverFixture : public ::testing::Test {
 protected:
  ResolverFixture() {
    std::filesystem::create_directories(folder_);
    Write("hosts", "127.0.0.1 localhost\n");
    Write("nsswitch.conf", "hosts: files dns\n");
    Write("resolv.conf", "nameserver [127.0.0.1]:1\n");
    Write("services", "https 443/tcp www-ssl # secure\nhttps 443/udp\ntftp 69/udp\n");
  }
  ~ResolverFixture() override {
    service_.reset();
    std::filesystem::remove_all(folder_);
  }

  void Write(const std::string& file, const std::string& text) {
    std::ofstream(folder_ + "/" + file) << text;
  }

  ResolverOptions Options() const {
    ResolverOptions options;
    options.hosts.hosts_path = folder_ + "/hosts";
    options.hosts.nsswitch_path = folder_ + "/nsswitch.conf";
    options.hosts.resolv_conf_path = folder_ + "/resolv.conf";
    options.services_path = folder_ + "/services";
    return options;
  }

  ResolverService& service() {
    if (service_ == nullptr) service_ = std::make_unique<ResolverService>(Options());
    return *service_;
  }

  // Starts a server with `records`, and uses it.
  DnsServer& Serve(const std::vector<std::string>& records, const std::string& more_conf = "") {
    auto server = DnsServer::Start(records);
    EXPECT_OK(server);
    server_ = *std::move(server);
    Write("resolv.conf", server_->ResolvConf() + more_conf);
    return *server_;
  }

  absl::StatusOr<v1::ResolveResponse> Resolve(const v1::ResolveRequest& request,
                                              const std::string& limits = kEverything) {
    DirectCall<v1::ResolveResponse> call(LimitsOf(limits));
    call.Start(service(), &ResolverService::Resolve, request);
    CB_RETURN_IF_ERROR(call.Wait());
    return call.response();
  }
  absl::StatusOr<v1::ResolveResponse> Resolve(const std::string& name,
                                              const std::string& limits = kEverything) {
    v1::ResolveRequest request;
    request.set_name(name);
    return Resolve(request, limits);
  }
  absl::StatusOr<v1::ReverseResolveResponse> ReverseResolve(
      const std::string& address, const std::string& limits = kEverything) {
    v1::ReverseResolveRequest request;
    request.set_address(std::string(IpAddress::Parse(address)->packed()));
    DirectCall<v1::ReverseResolveResponse> call(LimitsOf(limits));
    call.Start(service(), &ResolverService::ReverseResolve, request);
    CB_RETURN_IF_ERROR(call.Wait());
    return call.response();
  }

  const std::string folder_ = absl::StrCat(::testing::TempDir(), "/resolver_fixture.", getpid());
  std::unique_ptr<DnsServer> server_;
  std::unique_ptr<ResolverService> service_;
};

}  // namespace capbroker::dns

#endif  // SERVICES_DNS_TESTING_RESOLVER_FIXTURE_H_
