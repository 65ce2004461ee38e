#include "cli/learned_policy.h"

#include <arpa/inet.h>
#include <sys/stat.h>

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "google/protobuf/text_format.h"

namespace capbroker::cli {
namespace {

// Files to read before directories take their place; well below what a worker can have.
constexpr size_t kMostFiles = 40;

std::string Parent(const std::string& path) {
  const size_t slash = path.rfind('/');
  return slash == 0 || slash == std::string::npos ? "/" : path.substr(0, slash);
}

bool IsCovered(const std::string& path, const std::set<std::string>& grants) {
  for (std::string above = path; above != "/"; above = Parent(above)) {
    if (above != path && grants.contains(above)) return true;
  }
  return false;
}

// Whether an address is none of the public Internet, as far as is worth a line in a policy.
bool IsLocal(const std::string& address) {
  in_addr v4;
  if (inet_pton(AF_INET, address.c_str(), &v4) == 1) {
    const uint32_t bits = ntohl(v4.s_addr);
    return bits >> 24 == 127 || bits >> 24 == 10 || bits >> 20 == 0xac1 || bits >> 16 == 0xc0a8 ||
           bits >> 16 == 0xa9fe;
  }
  return address == "::1" || absl::StartsWith(address, "fc") || absl::StartsWith(address, "fd") ||
         absl::StartsWith(address, "fe80");
}

bool IsDirectory(const std::string& path) {
  struct stat status;
  return stat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode);
}

// Whether one of `grants` is beneath `path`: then its name can be seen anyway.
bool IsAbove(const std::string& path, const std::set<std::string>& grants) {
  const std::string beneath = path == "/" ? path : path + "/";
  const auto next = grants.lower_bound(beneath);
  return next != grants.end() && absl::StartsWith(*next, beneath);
}

void DropCovered(const std::set<std::string>& by, std::set<std::string>& paths) {
  std::erase_if(paths, [&](const std::string& path) { return IsCovered(path, by); });
}

// Puts the directory in place of its files that has most of them; not a directory of the root.
bool Widen(std::set<std::string>& paths) {
  std::map<std::string, int> children;
  for (const std::string& path : paths) ++children[Parent(path)];
  const auto widest =
      std::max_element(children.begin(), children.end(),
                       [](const auto& a, const auto& b) { return a.second < b.second; });
  if (widest == children.end() || widest->second < 2 || Parent(widest->first) == "/") return false;
  paths.insert(widest->first);
  DropCovered(std::set<std::string>{widest->first}, paths);
  return true;
}

}  // namespace

void LearnedPolicy::AddHost(const std::string& name) {
  const size_t colon = name.rfind(':');
  absl::string_view host = absl::string_view(name).substr(0, colon);
  if (colon == std::string::npos || (absl::StrContains(host, ':') && host[0] != '[')) {
    hosts_.insert(name);
    return;
  }
  if (absl::ConsumePrefix(&host, "[")) absl::ConsumeSuffix(&host, "]");
  addresses_.insert(std::string(host));
  ports_.insert(name.substr(colon + 1));
}

void LearnedPolicy::Add(const v1::AuditEvent& event) {
  if (event.kind() == v1::AuditEvent::LEFT_OUT && event.left_out() == v1::AuditEvent::LEARNED) {
    missing_ += event.count();
  }
  if (event.kind() != v1::AuditEvent::LEARNED) return;
  for (const v1::AuditEvent::Value& value : event.values()) {
    if (absl::StartsWith(value.value(), "/dev/")) continue;  // those that every program has
    if (value.field() == "files.create") {
      write_.insert(Parent(value.value()));
    } else if (value.field() == "files.write") {
      write_.insert(value.value());
    } else if (value.field() == "files.read") {
      read_.insert(value.value());
    } else if (value.field() == "connections") {
      AddHost(value.value());
    } else if (value.field() == "listeners") {
      servers_.insert(value.value());
    } else if (value.field() == "files.look") {
      look_.insert(value.value());
    }
  }
}

run::v1::RunPolicy LearnedPolicy::Policy(run::v1::RunPolicy policy) const {
  std::set<std::string> write = write_;
  DropCovered(write_, write);
  std::set<std::string> read = read_;
  for (const std::string& path : look_) {
    // A directory that was only looked at is not worth everything beneath it.
    if (!IsDirectory(path) && !IsAbove(path, read_) && !IsAbove(path, write)) read.insert(path);
  }
  DropCovered(read_, read);
  DropCovered(write, read);
  for (const std::string& path : write) read.erase(path);
  while (read.size() > kMostFiles && Widen(read)) {
  }
  policy.clear_read();
  policy.clear_write();
  policy.clear_connect();
  policy.clear_listen();
  if (!hosts_.empty() || !addresses_.empty()) {
    run::v1::RunPolicy::Connections& connect = *policy.add_connect();
    for (const std::string& host : hosts_.empty() ? addresses_ : hosts_) connect.add_name(host);
    for (const std::string& port : ports_) connect.add_port(port);
    for (const std::string& address : addresses_) {
      if (!hosts_.empty() && IsLocal(address)) connect.add_local_address(address);
    }
  }
  for (const std::string& server : servers_) policy.add_listen(server);
  for (const std::string& path : read) policy.add_read(path);
  for (const std::string& path : write) policy.add_write(path);
  return policy;
}

std::string LearnedPolicy::ToText(const run::v1::RunPolicy& policy) const {
  std::string text;
  google::protobuf::TextFormat::PrintToString(Policy(policy), &text);
  if (missing_ > 0) absl::StrAppend(&text, "# ", missing_, " more names were not recorded\n");
  return text;
}

}  // namespace capbroker::cli
