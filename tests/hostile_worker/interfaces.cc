#include "tests/hostile_worker/interfaces.h"

#include <stdlib.h>
#include <unistd.h>

#include "tests/hostile_worker/interface_probes.h"

namespace capbroker::hostile {
namespace {

constexpr char kFrom[] = "interfaces from ";

std::string ProbeAll(const Scene& scene) {
  const auto first = static_cast<size_t>(atoi(scene.attack + sizeof kFrom - 1));
  for (size_t i = first; i < AllInterfaces().size(); ++i) {
    const std::string line = AllInterfaces()[i].run(scene) + '\n';
    if (write(STDOUT_FILENO, line.data(), line.size()) < 0) break;
  }
  return "";
}

}  // namespace

Attack InterfacesFrom(size_t first) {
  return {.name = kFrom + std::to_string(first), .run = ProbeAll};
}

const std::vector<Attack>& AllInterfaces() {
  static const auto* const interfaces = [] {
    auto* const all = new std::vector<Attack>;
    for (const auto probes : {&ProcessInterfaces, &DescriptorInterfaces, &ObjectInterfaces,
                              &MachineInterfaces, &NameInterfaces}) {
      const std::vector<Attack> some = probes();
      all->insert(all->end(), some.begin(), some.end());
    }
    return all;
  }();
  return *interfaces;
}

}  // namespace capbroker::hostile
