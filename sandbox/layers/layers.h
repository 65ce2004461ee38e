// The layers of a worker's confinement, and sets of them.
//
// No single mechanism of Linux confines a process; several together do, and
// hosts forbid some of them (user namespaces, most often). So a start names the
// layers that it requires, and reports those that it got.
//
// Runs in every process. Values only.
#ifndef SANDBOX_LAYERS_LAYERS_H_
#define SANDBOX_LAYERS_LAYERS_H_

#include <cstdint>
#include <initializer_list>
#include <string>

#include "absl/strings/string_view.h"

namespace capbroker::sandbox {

enum class Layer : uint8_t {
  // No exec gives more rights than the process has. Always in force.
  kNoNewPrivileges = 0,
  // No capability in any set. Always in force.
  kNoCapabilities = 1,
  // CPU time, memory, descriptors, processes, file sizes. Always in force.
  kResourceBounds = 2,
  // The table of system calls (worker_policy.h).
  kSystemCallTable = 3,
  // A forbidden system call is reported by name, not only by its signal.
  kViolationReports = 4,
  // Landlock: no file, no TCP port; no signal and no abstract socket out of the
  // domain.
  kLandlock = 5,
  kUserNamespace = 6,
  // A root that is empty, or holds only the loader and libraries of a program.
  kMountNamespace = 7,
  // Sees no other process, and everything in it dies with its init.
  kPidNamespace = 8,
  // No network, not even the loopback's; no abstract sockets but, where workers share it, their own
  // (shared_surroundings.h).
  kNetworkNamespace = 9,
  kIpcNamespace = 10,
  kUtsNamespace = 11,
  kCgroupNamespace = 12,
  // A kernel uid and gid of its own that own no file. Needs a zygote that may
  // set uids.
  kUnprivilegedUid = 13,
  // No groups but its gid. An ordinary user cannot drop those that it has.
  kNoSupplementaryGroups = 14,
};
inline constexpr int kLayerCount = 15;

// "pid namespace".
absl::string_view LayerName(Layer layer);

class LayerSet {
 public:
  constexpr LayerSet() = default;
  constexpr LayerSet(std::initializer_list<Layer> layers) {
    for (Layer layer : layers) bits_ |= Bit(layer);
  }
  static constexpr LayerSet All() { return LayerSet((1u << kLayerCount) - 1); }
  // Bits that name no layer are dropped: may come from a stranger.
  static constexpr LayerSet FromBits(uint32_t bits) { return LayerSet(bits & All().bits_); }

  constexpr bool Has(Layer layer) const { return (bits_ & Bit(layer)) != 0; }
  constexpr bool HasAll(LayerSet other) const { return (other.bits_ & ~bits_) == 0; }
  constexpr bool empty() const { return bits_ == 0; }
  constexpr uint32_t bits() const { return bits_; }

  constexpr LayerSet With(Layer layer) const { return LayerSet(bits_ | Bit(layer)); }
  constexpr LayerSet Without(Layer layer) const { return LayerSet(bits_ & ~Bit(layer)); }
  constexpr LayerSet Without(LayerSet other) const { return LayerSet(bits_ & ~other.bits_); }
  constexpr LayerSet And(LayerSet other) const { return LayerSet(bits_ & other.bits_); }
  constexpr LayerSet Or(LayerSet other) const { return LayerSet(bits_ | other.bits_); }
  friend constexpr bool operator==(LayerSet a, LayerSet b) { return a.bits_ == b.bits_; }

  // "pid namespace, landlock"; "none" for the empty set.
  std::string ToString() const;

 private:
  static constexpr uint32_t Bit(Layer layer) { return 1u << static_cast<int>(layer); }
  constexpr explicit LayerSet(uint32_t bits) : bits_(bits) {}
  uint32_t bits_ = 0;
};

// Never switched off: a start that lacks one of these fails.
inline constexpr LayerSet kAlwaysInForce = {Layer::kNoNewPrivileges, Layer::kNoCapabilities,
                                            Layer::kResourceBounds};

// What every worker has. The table alone refuses every system call that names
// something or reaches another process.
inline constexpr LayerSet kRequired = {Layer::kNoNewPrivileges, Layer::kNoCapabilities,
                                       Layer::kResourceBounds, Layer::kSystemCallTable};

// The documented floor: the least with which hostile code may run. Beside what every
// worker has it takes one layer of another kind, so that a mistake in the table alone
// opens nothing: Landlock, or namespaces of its own. Most containers forbid the one or the
// other.
constexpr bool MeetsFloor(LayerSet layers) {
  return layers.HasAll(kRequired) &&
         (layers.Has(Layer::kLandlock) ||
          layers.HasAll({Layer::kMountNamespace, Layer::kPidNamespace, Layer::kNetworkNamespace,
                         Layer::kIpcNamespace}));
}

}  // namespace capbroker::sandbox

#endif  // SANDBOX_LAYERS_LAYERS_H_
