// The `capbroker` command.
#include <algorithm>
#include <iostream>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "cli/audit_command.h"
#include "cli/check_command.h"
#include "cli/run_command.h"

int main(int argc, char** argv) {
  const std::vector<std::string> arguments(argv + std::min(argc, 2), argv + argc);
  const absl::string_view command = argc > 1 ? argv[1] : "";
  if (command == "audit") return capbroker::cli::RunAudit(arguments, std::cout, std::cerr);
  if (command == "check") return capbroker::cli::RunCheck(arguments, std::cout, std::cerr);
  if (command == "run") return capbroker::cli::RunRun(arguments);
  const bool asked = command == "help" || command == "--help";
  (asked ? std::cout : std::cerr) << "usage: " << capbroker::cli::kAuditUsage << "       "
                                  << capbroker::cli::kCheckUsage << "       "
                                  << capbroker::cli::kRunUsage;
  return asked ? 0 : 2;
}
