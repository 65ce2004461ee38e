// LimitKind PATHS: absolute paths, and directories with all beneath them.
//
// "/a/b" allows that path, "/a/b/" that path and everything beneath it, "/"
// everything. Both entries and requests must be in lexical normal form: absolute,
// without ".", "..", NUL and empty components, and a request without a final slash.
// What is not is never allowed; nothing is "cleaned up", since the kernel would
// be asked with the original.
//
// Only names are decided here. That the object opened under a name really lies
// beneath the granted directory is for who opens it: `Cover` says beneath which.
//
// Lives in: service processes and the broker. Immutable; thread-safe.
#ifndef AUTHORITY_PATH_SET_H_
#define AUTHORITY_PATH_SET_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "authority/keyed_hash.h"

namespace capbroker::authority {

inline constexpr size_t kMaxPathBytes = 4095;

// Whether `path` is an absolute path in lexical normal form, without a final
// slash unless it is "/".
bool IsNormalPath(absl::string_view path);

class PathSet {
 public:
  // What allows a path. The texts are parts of the path that was asked about.
  struct Coverage {
    absl::string_view root;     // "/a/b": the granted directory or path
    bool directory = false;     // granted with everything beneath
    absl::string_view beneath;  // the rest: "c/d", empty for the root itself
  };

  PathSet() = default;  // allows nothing
  // INVALID_ARGUMENT: an entry that is not in normal form.
  static absl::StatusOr<PathSet> Make(const std::vector<std::string>& paths);

  bool Allows(absl::string_view path) const;
  // The entry that allows `path`; of several, the one with the shortest root.
  std::optional<Coverage> Cover(absl::string_view path) const;
  bool empty() const { return exact_.empty() && nodes_.empty() && !everything_; }

  // The canonical form: sorted, without what other entries cover.
  std::vector<std::string> Entries() const;

  friend PathSet Meet(const PathSet& a, const PathSet& b);
  friend bool operator==(const PathSet& a, const PathSet& b) {
    return a.everything_ == b.everything_ && a.exact_ == b.exact_ &&
           a.directories_ == b.directories_;
  }

 private:
  // A step down the tree of directories: from a node by a component.
  struct Step {
    uint32_t from;
    std::string component;
  };
  using StepView = std::pair<uint32_t, absl::string_view>;
  struct StepHash {
    using is_transparent = void;
    size_t operator()(const Step& step) const;
    size_t operator()(const StepView& step) const;
  };
  struct StepEqual {
    using is_transparent = void;
    bool operator()(const Step& a, const Step& b) const {
      return a.from == b.from && a.component == b.component;
    }
    bool operator()(const Step& a, const StepView& b) const {
      return a.from == b.first && a.component == b.second;
    }
  };
  struct Node {
    uint32_t id = 0;
    bool granted = false;  // the walk ends here: all beneath is allowed
  };

  // Length of the granted directory's path within `path`; 0 when there is none.
  // Hashes each byte once, so that a long path costs no more than its length.
  size_t DirectoryRoot(absl::string_view path) const;
  void InsertDirectory(absl::string_view path);

  bool everything_ = false;
  KeyedTextSet exact_;        // "/a/b"
  KeyedTextSet directories_;  // "/a/b" of "/a/b/"
  absl::flat_hash_map<Step, Node, StepHash, StepEqual> nodes_;
};

PathSet Meet(const PathSet& a, const PathSet& b);

}  // namespace capbroker::authority

#endif  // AUTHORITY_PATH_SET_H_
