#include "cli/run_launch.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <iterator>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/errno_status.h"
#include "base/status_macros.h"
#include "base/unique_fd.h"
#include "cli/program_file.h"
#include "cli/run_policy.pb.h"
#include "sandbox/host_facts.h"
#include "services/net/grants.h"

namespace capbroker::cli {
namespace {

// Devices that hold nothing: every program has them.
constexpr char kNull[] = "/dev/null";
constexpr const char* kReadDevices[] = {"/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"};

enum class Use { kRead, kWrite, kRun };

FileGrant FileGrantFor(const std::string& path, bool tree, Use use) {
  switch (use) {
    case Use::kWrite:
      return tree ? FileGrant::WriteTree(path) : FileGrant::WriteFile(path);
    case Use::kRun:
      return tree ? FileGrant::RunTree(path) : FileGrant::RunFile(path);
    default:
      return tree ? FileGrant::ReadTree(path) : FileGrant::ReadFile(path);
  }
}

// A file or a tree, whichever it is; nothing if it does not exist.
absl::Status AddFile(const std::string& path, const std::string& directory, Use use,
                     std::vector<FileGrant>& files) {
  if (path.empty()) return absl::InvalidArgumentError("grant of a file: an empty path");
  const std::string absolute = AbsolutePath(path, directory);
  struct stat status;
  if (stat(absolute.c_str(), &status) != 0) {
    if (errno != ENOENT && errno != ENOTDIR) return ErrnoToStatus(errno, absolute);
    if (use != Use::kWrite) return absl::OkStatus();
    return absl::InvalidArgumentError(absl::StrCat(
        absolute, ": cannot be granted for writing: it does not exist; grant its directory"));
  }
  files.push_back(FileGrantFor(absolute, S_ISDIR(status.st_mode), use));
  return absl::OkStatus();
}

absl::Status AddFiles(const RunOptions& options, const std::string& directory,
                      std::vector<FileGrant>& files) {
  CB_RETURN_IF_ERROR(AddFile(kNull, directory, Use::kWrite, files));
  for (const char* device : kReadDevices) {
    CB_RETURN_IF_ERROR(AddFile(device, directory, Use::kRead, files));
  }
  if (!options.learn.empty()) files.push_back(FileGrant::WriteTree("/"));
  for (const std::string& path : options.policy.read()) {
    CB_RETURN_IF_ERROR(AddFile(path, directory, Use::kRead, files));
  }
  for (const std::string& path : options.policy.write()) {
    CB_RETURN_IF_ERROR(AddFile(path, directory, Use::kWrite, files));
  }
  for (const std::string& path : options.policy.run()) {
    CB_RETURN_IF_ERROR(AddFile(path, directory, Use::kRun, files));
  }
  if (files.size() > static_cast<size_t>(kMostGrants)) {
    return absl::InvalidArgumentError(
        absl::StrCat(files.size(), " files and directories, at most ", kMostGrants));
  }
  return absl::OkStatus();
}

Refusal RefusalOf(const run::v1::RunPolicy& policy) {
  switch (policy.refusal()) {
    case run::v1::RunPolicy::NO_ACCESS:
      return Refusal::kAccess;
    case run::v1::RunPolicy::NOT_CAPABLE:
      return Refusal::kNotCapable;
    default:
      return Refusal::kAbsent;
  }
}

// "localhost" is a name, and leads home wherever it is asked for.
constexpr char kLocalhost[] = "localhost";
constexpr const char* kHome[] = {"127.0.0.0/8", "::1/128"};

Grant ToGrant(const run::v1::RunPolicy::Connections& connections, int number) {
  net::HostLimits options;
  options.local_addresses = {connections.local_address().begin(),
                             connections.local_address().end()};
  const std::vector<std::string> names(connections.name().begin(), connections.name().end());
  if (std::find(names.begin(), names.end(), kLocalhost) != names.end()) {
    options.local_addresses.insert(options.local_addresses.end(), std::begin(kHome),
                                   std::end(kHome));
  }
  return {.name = absl::StrCat("connections ", number),
          .source = ConnectToHosts(names, {connections.port().begin(), connections.port().end()},
                                   options)};
}

// "127.0.0.1:8080", "[::1]:8080", "*:8080": one grant for each port, with all of its addresses.
absl::StatusOr<std::vector<Grant>> ToServers(const run::v1::RunPolicy& policy) {
  std::map<std::string, std::vector<std::string>> addresses;  // by port
  for (const std::string& server : policy.listen()) {
    const size_t colon = server.rfind(':');
    if (colon == std::string::npos) {
      return absl::InvalidArgumentError(absl::StrCat("listen: ", server, ": no port"));
    }
    absl::string_view address = absl::string_view(server).substr(0, colon);
    if (absl::ConsumePrefix(&address, "[")) absl::ConsumeSuffix(&address, "]");
    addresses[server.substr(colon + 1)].push_back(std::string(address));
  }
  std::vector<Grant> grants;
  for (const auto& [port, at] : addresses) {
    grants.push_back({.name = absl::StrCat("servers ", port), .source = ListenAt(at, {port})});
  }
  return grants;
}

// In learn mode: whatever this host may reach.
Grant Everywhere() {
  return {.name = "connections",
          .source = ConnectToHosts({"*"}, {"*"}, {.local_addresses = {"0.0.0.0/0", "::/0"}})};
}

absl::StatusOr<std::vector<std::string>> Environment(const run::v1::RunPolicy& policy) {
  std::vector<std::string> environment;
  for (const std::string& entry : policy.environment()) {
    if (entry.find('=') != std::string::npos) {
      environment.push_back(entry);
    } else if (const char* const value = getenv(entry.c_str())) {
      environment.push_back(absl::StrCat(entry, "=", value));
    }
  }
  return environment;
}

WorkerBounds Bounds(const run::v1::RunPolicy::Bounds& policy) {
  WorkerBounds bounds;
  bounds.wall_time = absl::Seconds(policy.wall_time_seconds());
  bounds.cpu_time = absl::Seconds(policy.cpu_time_seconds());
  bounds.memory = Mebibytes(policy.memory_mebibytes());
  bounds.descriptors = policy.descriptors();
  bounds.threads = policy.threads();
  bounds.file_size = Mebibytes(policy.file_size_mebibytes());
  return bounds;
}

// A closed one stays the /dev/null that a worker has there.
absl::Status PassStandardDescriptor(int number, UniqueFd& passed) {
  passed.Reset(fcntl(number, F_DUPFD_CLOEXEC, 3));
  if (passed.valid() || errno == EBADF) return absl::OkStatus();
  return ErrnoToStatus(errno, absl::StrCat("standard descriptor ", number));
}

unsigned FileModeMask() {
  const mode_t mask = umask(077);
  umask(mask);
  return mask;
}

}  // namespace

absl::StatusOr<WorkerOptions> ToWorkerOptions(const RunOptions& options) {
  CB_ASSIGN_OR_RETURN(const std::string directory, WorkingDirectory());
  CB_ASSIGN_OR_RETURN(ProgramFile program, FindProgram(options.program, getenv("PATH")));
  Supervision supervision;
  CB_RETURN_IF_ERROR(AddFiles(options, directory, supervision.files));
  if (!program.script.empty()) supervision.files.push_back(FileGrant::ReadFile(program.script));
  if (options.learn.empty()) {
    for (const run::v1::RunPolicy::Connections& connections : options.policy.connect()) {
      supervision.connections.push_back(
          ToGrant(connections, static_cast<int>(supervision.connections.size()) + 1));
    }
    CB_ASSIGN_OR_RETURN(supervision.servers, ToServers(options.policy));
  } else if (sandbox::ProbeHost().descriptor_sight == sandbox::DescriptorSight::kDuplicates) {
    // Files can be learned also where no worker has connections.
    supervision.connections.push_back(Everywhere());
    supervision.servers.push_back({.name = "servers", .source = ListenAt({"*"}, {"*"})});
  }
  supervision.processes = options.policy.run_size() > 0;
  supervision.refusal = RefusalOf(options.policy);
  supervision.working_directory = directory;
  supervision.file_mode_mask = FileModeMask();

  WorkerOptions worker;
  worker.program = program.path;
  worker.arguments = std::move(program.arguments);
  worker.arguments.insert(worker.arguments.end(), options.arguments.begin(),
                          options.arguments.end());
  CB_ASSIGN_OR_RETURN(worker.environment, Environment(options.policy));
  worker.bounds = Bounds(options.policy.bounds());
  worker.supervision = std::move(supervision);
  worker.makes_code = options.policy.make_code();
  CB_RETURN_IF_ERROR(PassStandardDescriptor(0, worker.standard_input));
  CB_RETURN_IF_ERROR(PassStandardDescriptor(1, worker.standard_output));
  CB_RETURN_IF_ERROR(PassStandardDescriptor(2, worker.standard_error));
  return worker;
}

}  // namespace capbroker::cli
