// The "hosts:" line of nsswitch.conf(5): which sources know hosts, in which order,
// and when the next one is asked.
//
// Lives in: the service process. A value.
#ifndef SERVICES_HOSTS_NSSWITCH_H_
#define SERVICES_HOSTS_NSSWITCH_H_

#include <array>
#include <cstddef>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace capbroker::hosts {

// What a source says, in the words of nsswitch.conf(5).
enum class SourceOutcome { kSuccess, kNotFound, kUnavailable, kTryAgain };

struct SourceRule {
  std::string source;  // "files", "dns", or a module: "mymachines"
  // By outcome: whether the answer of this source is the last word.
  std::array<bool, 4> final = {true, false, false, false};

  bool IsFinal(SourceOutcome outcome) const { return final[static_cast<size_t>(outcome)]; }
};

inline constexpr size_t kMaxSources = 16;

// "files dns" when `text` has no such line.
std::vector<SourceRule> ParseHostSources(absl::string_view text);

}  // namespace capbroker::hosts

#endif  // SERVICES_HOSTS_NSSWITCH_H_
