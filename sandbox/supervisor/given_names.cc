#include "sandbox/supervisor/given_names.h"

namespace capbroker::sandbox {

std::string GivenNames::NameOf(const struct stat& object) {
  const auto found = places_.find(Of(object));
  if (found == places_.end()) return "";
  names_.splice(names_.begin(), names_, found->second);
  return found->second->second;
}

void GivenNames::Remember(const struct stat& object, std::string name) {
  const Identity identity = Of(object);
  const auto found = places_.find(identity);
  if (found != places_.end()) {
    found->second->second = std::move(name);
    names_.splice(names_.begin(), names_, found->second);
    return;
  }
  names_.emplace_front(identity, std::move(name));
  places_[identity] = names_.begin();
  if (names_.size() <= kMost) return;
  places_.erase(names_.back().first);
  names_.pop_back();
}

}  // namespace capbroker::sandbox
