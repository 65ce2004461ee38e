// A program that attacks: as a worker executes it, with a scene as its input, or as `capbroker run`
// starts it, with one as its argument.
#include <cstring>

#include "absl/strings/escaping.h"
#include "client/grants.h"
#include "tests/hostile_worker/attack.h"
#include "tests/hostile_worker/attacker.h"

int main(int argc, char** argv) {
  if (argc == 2) {
    const std::string bytes = absl::HexStringToBytes(argv[1]);
    capbroker::hostile::Scene scene;
    if (bytes.size() != sizeof scene) return 98;
    std::memcpy(&scene, bytes.data(), sizeof scene);
    return capbroker::hostile::MakeAttack(scene);
  }
  absl::StatusOr<capbroker::Grants> grants = capbroker::Grants::FromEnvironment();
  return grants.ok() ? capbroker::hostile::RunAttacker(*std::move(grants)) : 99;
}
