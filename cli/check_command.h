// `capbroker check`: what this host lets a worker's confinement use.
#ifndef CLI_CHECK_COMMAND_H_
#define CLI_CHECK_COMMAND_H_

#include <ostream>
#include <string>
#include <vector>

#include "sandbox/host_facts.h"

namespace capbroker::cli {

inline constexpr char kCheckUsage[] =
    "capbroker check [--json]\n"
    "  Tries every layer of a worker's confinement as this user, and says which would be in\n"
    "  force, what forbids the others, and how to get them. Exits with 1 where no worker starts.\n";

// For people, or as one JSON object.
std::string DescribeHost(const sandbox::HostFacts& facts);
std::string DescribeHostInJson(const sandbox::HostFacts& facts);

// The exit status: 0, 1 when the host is below the floor, 2 for bad usage. For a process with a
// single thread.
int RunCheck(const std::vector<std::string>& arguments, std::ostream& out, std::ostream& errors);

}  // namespace capbroker::cli

#endif  // CLI_CHECK_COMMAND_H_
