#include "tests/hostile_worker/attacker.h"

#include <cstring>

#include "base/unique_fd.h"
#include "tests/hostile_worker/attack.h"

namespace capbroker::hostile {

int RunAttacker(Grants grants) {
  Scene scene;
  if (grants.input().size() != sizeof scene) return 90;
  std::memcpy(&scene, grants.input().data(), sizeof scene);
  UniqueFd lane;
  if (const auto channel = grants.Channel("probe"); channel.ok()) {
    absl::StatusOr<UniqueFd> released = (*channel)->Release();
    if (!released.ok()) return 91;
    lane = *std::move(released);
  }
  scene.lane = lane.get();
  return MakeAttack(scene);
}

}  // namespace capbroker::hostile
