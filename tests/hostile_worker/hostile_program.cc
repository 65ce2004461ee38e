// A program that a worker executes, and that attacks.
#include "client/grants.h"
#include "tests/hostile_worker/attacker.h"

int main() {
  absl::StatusOr<capbroker::Grants> grants = capbroker::Grants::FromEnvironment();
  return grants.ok() ? capbroker::hostile::RunAttacker(*std::move(grants)) : 99;
}
