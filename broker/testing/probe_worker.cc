// A worker program: says its input to the probe.
#include <stdlib.h>

#include "broker/testing/probe_client.h"
#include "client/grants.h"

int main(int argc, char** argv) {
  absl::StatusOr<capbroker::Grants> grants = capbroker::Grants::FromEnvironment();
  if (!grants.ok()) return 99;
  // A second worker's grants cannot be taken from the first's.
  if (capbroker::Grants::FromEnvironment().ok()) return 98;
  if (argc != 2 || std::string(argv[1]) != "argument") return 97;
  const char* const variable = getenv("VARIABLE");
  if (variable == nullptr || std::string(variable) != "value") return 96;
  capbroker::testing::ProbeClient probe(*grants->Channel("probe"));
  return probe.Say(grants->input()).ok() ? 17 : 95;
}
