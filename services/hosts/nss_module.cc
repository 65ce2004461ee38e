#include "services/hosts/nss_module.h"

#include <dlfcn.h>
#include <errno.h>
#include <netdb.h>
#include <nss.h>
#include <sys/socket.h>

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "services/hosts/dns_message.h"

namespace capbroker::hosts {
namespace {

constexpr size_t kFirstBufferBytes = 1024;
constexpr size_t kMaxBufferBytes = 256u << 10;

SourceOutcome OutcomeOf(nss_status status) {
  switch (status) {
    case NSS_STATUS_SUCCESS:
      return SourceOutcome::kSuccess;
    case NSS_STATUS_NOTFOUND:
      return SourceOutcome::kNotFound;
    case NSS_STATUS_TRYAGAIN:
      return SourceOutcome::kTryAgain;
    default:
      return SourceOutcome::kUnavailable;
  }
}

// What every call of a module needs: room for the result, and the errors.
struct Scratch {
  std::vector<char> buffer = std::vector<char>(kFirstBufferBytes);
  int error = 0;
  int host_error = 0;
  int32_t ttl = 0;

  // Calls `function` again with a larger buffer while the module asks for one.
  template <typename Function>
  nss_status Call(Function function) {
    while (true) {
      const nss_status status = function();
      if (status != NSS_STATUS_TRYAGAIN || error != ERANGE || buffer.size() >= kMaxBufferBytes) {
        return status;
      }
      buffer.resize(buffer.size() * 2);
    }
  }
};

void TakeName(const char* name, std::vector<std::string>& names) {
  if (name != nullptr && names.size() < kMaxRecords && IsHostName(name)) names.emplace_back(name);
}

void TakeHost(const hostent& host, HostAnswer& answer) {
  if (host.h_name != nullptr) answer.canonical_name = host.h_name;
  for (char** entry = host.h_addr_list; entry != nullptr && *entry != nullptr; ++entry) {
    const std::optional<IpAddress> address =
        IpAddress::FromPacked({*entry, static_cast<size_t>(host.h_length)});
    if (address.has_value() && answer.addresses.size() < kMaxRecords) {
      answer.addresses.push_back(*address);
    }
  }
}

}  // namespace

std::shared_ptr<const NssModule> NssModule::Load(absl::string_view name,
                                                 const std::string& folder) {
  const std::string path =
      absl::StrCat(folder, folder.empty() ? "" : "/", "libnss_", name, ".so.2");
  // Never closed: a call of the module may be under way for ever.
  void* const library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) return nullptr;
  const auto symbol = [&](absl::string_view function) {
    return dlsym(library, absl::StrCat("_nss_", name, "_", function).c_str());
  };
  std::shared_ptr<NssModule> module(new NssModule);
  module->by_name4_ = symbol("gethostbyname4_r");
  module->by_name3_ = symbol("gethostbyname3_r");
  module->by_name2_ = symbol("gethostbyname2_r");
  module->by_address_ = symbol("gethostbyaddr_r");
  if (module->by_name4_ == nullptr && module->by_name3_ == nullptr &&
      module->by_name2_ == nullptr && module->by_address_ == nullptr) {
    return nullptr;
  }
  return module;
}

HostAnswer NssModule::Ask(const HostQuestion& question) const {
  if (question.address.has_value()) return FindNames(*question.address);
  HostAnswer answer = FindAddresses(question);
  answer.addresses.erase(std::remove_if(answer.addresses.begin(), answer.addresses.end(),
                                        [&question](const IpAddress& address) {
                                          return !(address.is_v4() ? question.v4 : question.v6);
                                        }),
                         answer.addresses.end());
  if (answer.outcome == SourceOutcome::kSuccess && answer.addresses.empty()) {
    answer.outcome = SourceOutcome::kNotFound;
  }
  // Whatever a module says, only names are handed on.
  if (!IsHostName(answer.canonical_name)) answer.canonical_name = question.name.text;
  return answer;
}

HostAnswer NssModule::FindAddresses(const HostQuestion& question) const {
  const std::string& name = question.name.text;
  if (by_name4_ != nullptr) {
    HostAnswer answer;
    Scratch scratch;
    gaih_addrtuple* first = nullptr;
    answer.outcome = OutcomeOf(scratch.Call([&] {
      first = nullptr;
      return reinterpret_cast<nss_gethostbyname4_r*>(by_name4_)(
          name.c_str(), &first, scratch.buffer.data(), scratch.buffer.size(), &scratch.error,
          &scratch.host_error, &scratch.ttl);
    }));
    if (answer.outcome != SourceOutcome::kSuccess) return answer;
    if (first != nullptr && first->name != nullptr) answer.canonical_name = first->name;
    for (const gaih_addrtuple* entry = first; entry != nullptr; entry = entry->next) {
      const std::optional<IpAddress> address = IpAddress::FromPacked(
          {reinterpret_cast<const char*>(entry->addr), entry->family == AF_INET ? 4u : 16u},
          entry->scopeid);
      if (address.has_value() && answer.addresses.size() < kMaxRecords) {
        answer.addresses.push_back(*address);
      }
    }
    return answer;
  }
  HostAnswer both;
  for (int family : {AF_INET, AF_INET6}) {
    if (!(family == AF_INET ? question.v4 : question.v6)) continue;
    HostAnswer one = FindAddressesOf(family, name);
    if (both.canonical_name.empty()) both.canonical_name = std::move(one.canonical_name);
    both.addresses.insert(both.addresses.end(), one.addresses.begin(), one.addresses.end());
    if (both.outcome != SourceOutcome::kSuccess) both.outcome = one.outcome;
  }
  return both;
}

HostAnswer NssModule::FindAddressesOf(int family, const std::string& name) const {
  HostAnswer answer;
  Scratch scratch;
  hostent host = {};
  if (by_name3_ == nullptr && by_name2_ == nullptr) {
    answer.outcome = SourceOutcome::kUnavailable;
    return answer;
  }
  answer.outcome = OutcomeOf(scratch.Call([&] {
    if (by_name3_ != nullptr) {
      return reinterpret_cast<nss_gethostbyname3_r*>(by_name3_)(
          name.c_str(), family, &host, scratch.buffer.data(), scratch.buffer.size(), &scratch.error,
          &scratch.host_error, &scratch.ttl, nullptr);
    }
    return reinterpret_cast<nss_gethostbyname2_r*>(by_name2_)(
        name.c_str(), family, &host, scratch.buffer.data(), scratch.buffer.size(), &scratch.error,
        &scratch.host_error);
  }));
  if (answer.outcome == SourceOutcome::kSuccess) TakeHost(host, answer);
  return answer;
}

HostAnswer NssModule::FindNames(const IpAddress& address) const {
  HostAnswer answer;
  Scratch scratch;
  hostent host = {};
  if (by_address_ == nullptr) {
    answer.outcome = SourceOutcome::kUnavailable;
    return answer;
  }
  answer.outcome = OutcomeOf(scratch.Call([&] {
    return reinterpret_cast<nss_gethostbyaddr_r*>(by_address_)(
        address.packed().data(), static_cast<socklen_t>(address.packed().size()),
        address.is_v4() ? AF_INET : AF_INET6, &host, scratch.buffer.data(), scratch.buffer.size(),
        &scratch.error, &scratch.host_error);
  }));
  if (answer.outcome != SourceOutcome::kSuccess) return answer;
  TakeName(host.h_name, answer.names);
  for (char** alias = host.h_aliases; alias != nullptr && *alias != nullptr; ++alias) {
    TakeName(*alias, answer.names);
  }
  if (answer.names.empty()) answer.outcome = SourceOutcome::kNotFound;
  return answer;
}

}  // namespace capbroker::hosts
