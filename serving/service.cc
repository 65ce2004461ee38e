#include "serving/service.h"

#include <map>
#include <utility>

#include "absl/base/internal/raw_logging.h"

namespace capbroker::serving {
namespace {

// Filled before main() and only read afterwards.
std::map<std::string, ServiceDefinition, std::less<>>& Registry() {
  static auto* const registry = new std::map<std::string, ServiceDefinition, std::less<>>;
  return *registry;
}

}  // namespace

void RegisterService(ServiceDefinition definition) {
  const auto [existing, inserted] = Registry().emplace(definition.name, definition);
  if (inserted || existing->second.make == definition.make) return;
  ABSL_RAW_LOG(FATAL, "two services are registered as \"%s\"", definition.name.c_str());
}

const ServiceDefinition* FindService(absl::string_view name) {
  const auto found = Registry().find(name);
  return found == Registry().end() ? nullptr : &found->second;
}

std::vector<std::string> RegisteredServices() {
  std::vector<std::string> names;
  for (const auto& [name, definition] : Registry()) names.push_back(name);
  return names;
}

}  // namespace capbroker::serving
