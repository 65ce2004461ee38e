#include "cli/run_options.h"

#include <cerrno>
#include <cstdint>
#include <fstream>
#include <sstream>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/errno_status.h"
#include "base/status_macros.h"
#include "client/parse_limits.h"
#include "client/worker_cgroups.h"

namespace capbroker::cli {
namespace {

// "www.example.org:443", "[2001:db8::1]:80"
bool AddConnection(absl::string_view text, run::v1::RunPolicy& policy) {
  const size_t colon = text.rfind(':');
  if (colon == absl::string_view::npos || colon == 0 || colon + 1 == text.size()) return false;
  absl::string_view name = text.substr(0, colon);
  if (absl::ConsumePrefix(&name, "[") && !absl::ConsumeSuffix(&name, "]")) return false;
  const std::string port(text.substr(colon + 1));
  for (run::v1::RunPolicy::Connections& connections : *policy.mutable_connect()) {
    if (connections.port_size() == 1 && connections.port(0) == port) {
      connections.add_name(std::string(name));
      return true;
    }
  }
  run::v1::RunPolicy::Connections* const connections = policy.add_connect();
  connections->add_name(std::string(name));
  connections->add_port(port);
  return true;
}

// "127.0.0.1:8080", "[::1]:0", "*:8080"; "*" of ports is every one.
bool IsServer(absl::string_view text) {
  const size_t colon = text.rfind(':');
  if (colon == absl::string_view::npos || colon == 0) return false;
  const absl::string_view port = text.substr(colon + 1);
  uint32_t number = 0;
  return port == "*" || (absl::SimpleAtoi(port, &number) && number <= 65535);
}

// "file:read:/etc/hosts"
absl::Status AddGrant(absl::string_view text, run::v1::RunPolicy& policy) {
  absl::string_view rest = text;
  if (absl::ConsumePrefix(&rest, "file:read:") && !rest.empty()) {
    policy.add_read(std::string(rest));
  } else if (absl::ConsumePrefix(&rest, "file:write:") && !rest.empty()) {
    policy.add_write(std::string(rest));
  } else if (absl::ConsumePrefix(&rest, "exec:") && !rest.empty()) {
    policy.add_run(std::string(rest));
  } else if (text == "jit") {
    policy.set_make_code(true);
  } else if (absl::ConsumePrefix(&rest, "dns:") && !rest.empty()) {
    policy.add_connect()->add_name(std::string(rest));
  } else if (absl::ConsumePrefix(&rest, "listen:") && IsServer(rest)) {
    policy.add_listen(std::string(rest));
  } else if (!absl::ConsumePrefix(&rest, "connect:") || !AddConnection(rest, policy)) {
    return absl::InvalidArgumentError(
        absl::StrCat("--grant ", text,
                     ": none of file:read:PATH, file:write:PATH, exec:PATH, connect:NAME:PORT, "
                     "listen:ADDRESS:PORT, dns:NAME, jit"));
  }
  return absl::OkStatus();
}

absl::Status AddPolicyFile(const std::string& path, run::v1::RunPolicy& policy) {
  std::ifstream file(path);
  std::stringstream text;
  if (!file || !(text << file.rdbuf())) {
    return ErrnoToStatus(errno, absl::StrCat("--policy ", path));
  }
  run::v1::RunPolicy parsed;
  if (const absl::Status status = ParseLimitsInto(text.str(), &parsed); !status.ok()) {
    return absl::InvalidArgumentError(absl::StrCat("--policy ", path, ":", status.message()));
  }
  policy.MergeFrom(parsed);
  return absl::OkStatus();
}

absl::Status AddBound(absl::string_view text, run::v1::RunPolicy::Bounds& bounds) {
  const std::pair<absl::string_view, void (run::v1::RunPolicy::Bounds::*)(uint32_t)> kinds[] = {
      {"wall-seconds=", &run::v1::RunPolicy::Bounds::set_wall_time_seconds},
      {"cpu-seconds=", &run::v1::RunPolicy::Bounds::set_cpu_time_seconds},
      {"memory-mib=", &run::v1::RunPolicy::Bounds::set_memory_mebibytes},
      {"descriptors=", &run::v1::RunPolicy::Bounds::set_descriptors},
      {"threads=", &run::v1::RunPolicy::Bounds::set_threads},
      {"file-mib=", &run::v1::RunPolicy::Bounds::set_file_size_mebibytes},
  };
  for (const auto& [prefix, set] : kinds) {
    absl::string_view rest = text;
    uint32_t number = 0;
    if (absl::ConsumePrefix(&rest, prefix) && absl::SimpleAtoi(rest, &number) && number > 0) {
      (bounds.*set)(number);
      return absl::OkStatus();
    }
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "--bound ", text,
      ": one of wall-seconds, cpu-seconds, memory-mib, descriptors, threads, file-mib, =, and a "
      "number"));
}

absl::Status SetRefusal(absl::string_view text, run::v1::RunPolicy& policy) {
  if (text == "absent") {
    policy.set_refusal(run::v1::RunPolicy::ABSENT);
  } else if (text == "access") {
    policy.set_refusal(run::v1::RunPolicy::NO_ACCESS);
  } else if (text == "capability") {
    policy.set_refusal(run::v1::RunPolicy::NOT_CAPABLE);
  } else {
    return absl::InvalidArgumentError(
        absl::StrCat("--refuse ", text, ": none of absent, access, capability"));
  }
  return absl::OkStatus();
}

absl::Status AddOption(absl::string_view name, const std::string& value, RunOptions& options) {
  if (name == "--grant") return AddGrant(value, options.policy);
  if (name == "--policy") return AddPolicyFile(value, options.policy);
  if (name == "--bound") return AddBound(value, *options.policy.mutable_bounds());
  if (name == "--refuse") return SetRefusal(value, options.policy);
  if (name == "--env") {
    options.policy.add_environment(value);
    return absl::OkStatus();
  }
  if (name == "--learn") {
    options.learn = value;
    return absl::OkStatus();
  }
  if (name == "--cgroup") {
    if (value != kOwnCgroup && !absl::StartsWith(value, "/")) {
      return absl::InvalidArgumentError(
          absl::StrCat("--cgroup ", value, ": neither ", kOwnCgroup, " nor an absolute path"));
    }
    options.cgroup = value;
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(absl::StrCat(name, ": no such option"));
}

}  // namespace

absl::StatusOr<RunOptions> ParseRunOptions(const std::vector<std::string>& arguments) {
  RunOptions options;
  size_t i = 0;
  for (; i < arguments.size() && absl::StartsWith(arguments[i], "-"); ++i) {
    const std::string& argument = arguments[i];
    if (argument == "--") {
      ++i;
      break;
    }
    if (argument == "--explain") {
      options.explain = true;
    } else if (const size_t equals = argument.find('='); equals != std::string::npos) {
      CB_RETURN_IF_ERROR(AddOption(absl::string_view(argument).substr(0, equals),
                                   argument.substr(equals + 1), options));
    } else if (i + 1 < arguments.size()) {
      CB_RETURN_IF_ERROR(AddOption(argument, arguments[i + 1], options));
      ++i;
    } else {
      return absl::InvalidArgumentError(absl::StrCat(argument, ": no such option, or no value"));
    }
  }
  if (i >= arguments.size()) return absl::InvalidArgumentError("no program");
  options.program = arguments[i];
  options.arguments.assign(arguments.begin() + static_cast<std::ptrdiff_t>(i) + 1, arguments.end());
  return options;
}

}  // namespace capbroker::cli
