#include "sandbox/layers/layers.h"

#include <string>

#include "absl/strings/str_cat.h"

namespace capbroker::sandbox {

absl::string_view LayerName(Layer layer) {
  switch (layer) {
    case Layer::kNoNewPrivileges:
      return "no new privileges";
    case Layer::kNoCapabilities:
      return "no capabilities";
    case Layer::kResourceBounds:
      return "resource bounds";
    case Layer::kSystemCallTable:
      return "system call table";
    case Layer::kViolationReports:
      return "violation reports";
    case Layer::kLandlock:
      return "landlock";
    case Layer::kUserNamespace:
      return "user namespace";
    case Layer::kMountNamespace:
      return "mount namespace";
    case Layer::kPidNamespace:
      return "pid namespace";
    case Layer::kNetworkNamespace:
      return "network namespace";
    case Layer::kIpcNamespace:
      return "ipc namespace";
    case Layer::kUtsNamespace:
      return "uts namespace";
    case Layer::kCgroupNamespace:
      return "cgroup namespace";
    case Layer::kUnprivilegedUid:
      return "unprivileged uid";
    case Layer::kNoSupplementaryGroups:
      return "no supplementary groups";
  }
  return "unknown layer";
}

std::string LayerSet::ToString() const {
  std::string text;
  for (int i = 0; i < kLayerCount; ++i) {
    const Layer layer = static_cast<Layer>(i);
    if (Has(layer)) absl::StrAppend(&text, text.empty() ? "" : ", ", LayerName(layer));
  }
  return text.empty() ? "none" : text;
}

}  // namespace capbroker::sandbox
