// The methods that one lane answers, by id. Lives in: service processes, the
// broker. Immutable after Build: thread-safe.
#ifndef SERVING_LANE_METHOD_TABLE_H_
#define SERVING_LANE_METHOD_TABLE_H_

#include <memory>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "authority/schema.h"
#include "serving/dispatch.h"

namespace capbroker::serving {

struct ServedMethod {
  Dispatch* dispatch = nullptr;
  const DispatchMethod* method = nullptr;
  // The checks in front of it; null for the methods of the lane itself
  // (capbroker.v1.Capability) and of the broker's own lanes.
  const authority::MethodSchema* schema = nullptr;
  bool request_descriptors = false;
  bool response_descriptors = false;
  size_t max_message_bytes = 0;
};

class MethodTable {
 public:
  // `checked`: the schema of the one of `services` whose requests are checked, or
  // null. Everything given outlives the table.
  static std::shared_ptr<const MethodTable> Build(const std::vector<Dispatch*>& services,
                                                  const authority::ServiceSchema* checked);

  const ServedMethod* Find(uint64_t id) const;
  // The largest bound of its methods.
  size_t max_message_bytes() const { return max_message_bytes_; }

 private:
  absl::flat_hash_map<uint64_t, ServedMethod> methods_;
  size_t max_message_bytes_ = 0;
};

}  // namespace capbroker::serving

#endif  // SERVING_LANE_METHOD_TABLE_H_
