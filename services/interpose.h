// A service that is served by calling a channel of the same service, in one expression:
//
//   class Logger : public capbroker::Interposer { ... };
//
//   std::shared_ptr<Channel> dns = *broker.Open(ResolveNames({"example.org"}));
//   .grants = {{"dns", capbroker::Interpose<dns::v1::Resolver, Logger>(dns, narrower)}}
//
// The holder calls the proxy; the proxy calls `dns`. What the holder may do is what both
// allow: the proxy's limits are checked in front of the interposer, those of `dns` behind
// it. The channel is given away, as a grant is; to keep one, clone it first.
//
// A program whose own channels come from another broker hands on a part of what it was
// given in the same way. And what outgrows the machine is forwarded to a gRPC server on
// another one:
//
//   capbroker::InterposeRemote<words::v1::WordCounter>(
//       {.target = "words.example.org:443", .root_certificates = roots}, limits)
//
// A proxy's process reaches its channel and nothing else, that of a remote server name servers and
// the server's port. An interposer that needs more says so as a service does
// (serving/service_needs.h).
//
// The generated .proxy.h of the service is included (target <name>_proxy).
//
// Lives in: the application (the expression), the service process (the interposer, made by
// its default constructor, or by one that takes InterposeOptions::settings).
// docs/design/interposition.md
#ifndef SERVICES_INTERPOSE_H_
#define SERVICES_INTERPOSE_H_

#include <cxxabi.h>
#include <stdlib.h>

#include <memory>
#include <string>
#include <type_traits>
#include <typeinfo>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "capbroker/v1/interposition.pb.h"
#include "client/grant.h"
#include "google/protobuf/any.pb.h"
#include "google/protobuf/message.h"
#include "services/service.h"
#include "serving/dispatch.h"
#include "serving/interposition/interposer.h"
#include "serving/interposition/proxy.h"
#include "serving/service.h"
#include "serving/service_needs.h"
#include "transport/channel.h"

namespace capbroker {

struct InterposeOptions {
  // The proxy's budget; without one, the defaults of the service's proto.
  const google::protobuf::Message* budget = nullptr;
  // Whether the holder may ask for a wire. Streams are forwarded on a wire of the channel
  // upstream, which must have been granted with one, too.
  bool wire = false;
  // For the constructor of the interposer: `explicit Logger(const google::protobuf::Any&)`.
  const google::protobuf::Message* settings = nullptr;
};

// A gRPC server on another machine.
struct RemoteServer {
  std::string target;             // "words.example.org:443"
  std::string root_certificates;  // PEM; without any no server is trusted
  // PEM, if the server wants to know who calls.
  std::string client_certificate = {};
  std::string client_key = {};
  // The name in the server's certificate, if it is not the target's.
  std::string server_name = {};
  // Keys of the caller's metadata that are sent; no other is.
  std::vector<std::string> metadata_keys = {};
};

namespace internal {

// As it is written in C++.
inline std::string TypeName(const std::type_info& type) {
  const std::unique_ptr<char, decltype(&free)> name(
      abi::__cxa_demangle(type.name(), nullptr, nullptr, nullptr), &free);
  return name == nullptr ? type.name() : name.get();
}

// Where a proxy's calls go. Two registrations: the one needs no network.
enum class Upstream { kChannel, kRemoteServer };

template <typename ProtoService, typename Implementation, Upstream upstream>
class ProxyRegistration {
 public:
  static const std::string& name() {
    (void)registered_;  // odr-used, so that it is not left out
    return Name();
  }

 private:
  using Proxy = typename ProxyOf<ProtoService>::Proxy;

  static const google::protobuf::ServiceDescriptor* Descriptor() {
    return CapbrokerDescriptor(static_cast<const Proxy*>(nullptr));
  }

  static const std::string& Name() {
    static const auto* const name = new std::string([] {
      std::string instance = TypeName(typeid(Implementation));
      if constexpr (requires { Implementation::kInstance; }) instance = Implementation::kInstance;
      const char* const kind = upstream == Upstream::kChannel ? "#proxy." : "#remote.";
      return absl::StrCat(Descriptor()->full_name(), kind, instance);
    }());
    return *name;
  }

  static std::unique_ptr<serving::Dispatch> Make(serving::ServiceInputs inputs) {
    std::unique_ptr<Interposer> interposer;
    if constexpr (std::is_constructible_v<Implementation, google::protobuf::Any>) {
      v1::ProxySettings settings;
      (void)inputs.settings.UnpackTo(&settings);
      interposer = std::make_unique<Implementation>(settings.interposer());
    } else {
      interposer = std::make_unique<Implementation>();
    }
    return serving::MakeProxy<ProtoService>(inputs, std::move(interposer));
  }

  // What the interposer needs, and the way to the server.
  static serving::ServiceNeeds Needs() {
    constexpr auto own = NeedsOf<Implementation>();
    serving::ServiceNeeds needs;
    if constexpr (own != nullptr) needs = own();
    if (needs.as_opened != nullptr) {
      needs.as_opened = [of_interposer = std::move(needs.as_opened)](
                            const google::protobuf::Any& limits,
                            const google::protobuf::Any& settings) {
        v1::ProxySettings proxy;
        (void)settings.UnpackTo(&proxy);
        return of_interposer(limits, proxy.interposer());
      };
    }
    return upstream == Upstream::kChannel ? needs : serving::RemoteNeeds(std::move(needs));
  }

  static bool Register() {
    serving::RegisterService({.name = Name(),
                              .descriptor = Descriptor(),
                              .make = &Make,
                              .needs = &Needs,
                              .prepare = PrepareOf<Implementation>()});
    return true;
  }

  static inline const bool registered_ = Register();
};

template <typename ProtoService, typename Implementation, Upstream upstream>
Authority MakeProxyAuthority(const google::protobuf::Message& limits,
                             const InterposeOptions& options, v1::ProxySettings settings) {
  Authority authority;
  authority.service = ProxyRegistration<ProtoService, Implementation, upstream>::name();
  authority.limits.PackFrom(limits);
  if (options.budget != nullptr) authority.budget.emplace().PackFrom(*options.budget);
  authority.wire = options.wire;
  if (options.settings != nullptr) settings.mutable_interposer()->PackFrom(*options.settings);
  authority.settings.emplace().PackFrom(settings);
  return authority;
}

}  // namespace internal

// The authority to call `channel` through an interposer, within `limits`.
template <typename ProtoService, typename Implementation = Interposer>
Authority Interpose(std::shared_ptr<Channel> channel, const google::protobuf::Message& limits,
                    const InterposeOptions& options = {}) {
  Authority authority =
      internal::MakeProxyAuthority<ProtoService, Implementation, internal::Upstream::kChannel>(
          limits, options, {});
  authority.upstream = std::move(channel);
  return authority;
}

// The authority to call a server on another machine, within `limits`, which are checked here.
// No descriptors travel there: a method that has any fails with FAILED_PRECONDITION.
template <typename ProtoService, typename Implementation = Interposer>
Authority InterposeRemote(const RemoteServer& server, const google::protobuf::Message& limits,
                          const InterposeOptions& options = {}) {
  v1::ProxySettings settings;
  v1::RemoteServer& remote = *settings.mutable_remote();
  remote.set_target(server.target);
  remote.set_root_certificates(server.root_certificates);
  remote.set_client_certificate(server.client_certificate);
  remote.set_client_key(server.client_key);
  remote.set_server_name(server.server_name);
  for (const std::string& key : server.metadata_keys) remote.add_metadata_keys(key);
  return internal::MakeProxyAuthority<ProtoService, Implementation,
                                      internal::Upstream::kRemoteServer>(limits, options,
                                                                         std::move(settings));
}

}  // namespace capbroker

#endif  // SERVICES_INTERPOSE_H_
