// Serving a service of one's own, in one expression:
//
//   class WordCounterService : public wc::v1::WordCounter::Service { ... };
//
//   .grants = {{"counter", capbroker::Serve<WordCounterService>(limits)}}
//
// Naming the class here makes it known to the broker: there is no registry to edit, and
// a service that no expression names is not linked and cannot be granted. The object is
// made in the service process, once per process: a successor of a process that crashed has
// a new one. It is made by its default constructor, or, if it has one, by the constructor
// that takes `serving::ServiceInputs`: ServeOptions::settings, and the channel that is the
// authority's `upstream`.
//
// The process in which it is made can do nothing but serve its channels. What it needs of the host
// the class says in one table, and what must be done before, in a function
// (serving/service_needs.h):
//
//   static serving::ServiceNeeds Needs() { return {.reads = {"/usr/share/dict/words"}}; }
//   static void Prepare();
//
// A program with several implementations of one proto service tells them apart:
//
//   class CachingResolver : public dns::v1::Resolver::Service {
//    public:
//     static constexpr char kInstance[] = "caching";
//
// Lives in: the application (the expression), the service process (the object).
#ifndef SERVICES_SERVICE_H_
#define SERVICES_SERVICE_H_

#include <memory>
#include <string>
#include <type_traits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "client/grant.h"
#include "google/protobuf/message.h"
#include "serving/dispatch.h"
#include "serving/service.h"
#include "serving/service_needs.h"

namespace capbroker {

struct ServeOptions {
  // The service's budget message; without one, the defaults of its proto.
  const google::protobuf::Message* budget = nullptr;
  // Whether the holder may ask for a wire: a gRPC server of its own, for streams.
  bool wire = false;
  // For the constructor of the class.
  const google::protobuf::Message* settings = nullptr;
};

namespace internal {

// What a class says of itself, or null.
template <typename Implementation>
constexpr auto NeedsOf() -> serving::ServiceNeeds (*)() {
  if constexpr (requires { Implementation::Needs(); }) return &Implementation::Needs;
  return nullptr;
}
template <typename Implementation>
constexpr auto PrepareOf() -> void (*)() {
  if constexpr (requires { Implementation::Prepare(); }) return &Implementation::Prepare;
  return nullptr;
}

// Exists once for each class that is named in a Serve<>() anywhere in the program, and
// registers it before main.
template <typename Implementation>
class Registration {
 public:
  static const std::string& name() {
    // Odr-used, so that it is not left out.
    (void)registered_;
    return Name();
  }

 private:
  static const std::string& Name() {
    static const auto* const name = new std::string([] {
      const std::string& service =
          CapbrokerDescriptor(static_cast<const Implementation*>(nullptr))->full_name();
      if constexpr (requires { Implementation::kInstance; }) {
        return absl::StrCat(service, "#", Implementation::kInstance);
      } else {
        return service;
      }
    }());
    return *name;
  }

  static bool Register() {
    serving::RegisterService(
        {.name = Name(),
         .descriptor = CapbrokerDescriptor(static_cast<const Implementation*>(nullptr)),
         .make = [](serving::ServiceInputs inputs) -> std::unique_ptr<serving::Dispatch> {
           if constexpr (std::is_constructible_v<Implementation, serving::ServiceInputs>) {
             return CapbrokerMakeDispatch(std::make_unique<Implementation>(std::move(inputs)));
           } else {
             return CapbrokerMakeDispatch(std::make_unique<Implementation>());
           }
         },
         .needs = NeedsOf<Implementation>(),
         .prepare = PrepareOf<Implementation>()});
    return true;
  }

  static inline const bool registered_ = Register();
};

}  // namespace internal

// The authority to call `Implementation` within `limits`. `Implementation` derives from a
// generated `Service` or `CallbackService`, of which the generated .dispatch.h is included.
template <typename Implementation>
Authority Serve(const google::protobuf::Message& limits, const ServeOptions& options = {}) {
  Authority authority;
  authority.service = internal::Registration<Implementation>::name();
  authority.limits.PackFrom(limits);
  if (options.budget != nullptr) authority.budget.emplace().PackFrom(*options.budget);
  authority.wire = options.wire;
  if (options.settings != nullptr) authority.settings.emplace().PackFrom(*options.settings);
  return authority;
}

}  // namespace capbroker

#endif  // SERVICES_SERVICE_H_
