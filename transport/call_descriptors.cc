#include "transport/call_descriptors.h"

#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/synchronization/mutex.h"

namespace capbroker {
namespace {

// gRPC's generated signatures have no room for descriptors, so a stub finds them
// by the context that it was called with.
struct Registry {
  absl::Mutex mutex;
  absl::flat_hash_map<const grpc::ClientContext*, CallDescriptors*> of ABSL_GUARDED_BY(mutex);
};

Registry& registry() {
  static auto* const instance = new Registry;
  return *instance;
}

}  // namespace

CallDescriptors::CallDescriptors(const grpc::ClientContext* context) : context_(context) {
  absl::MutexLock lock(&registry().mutex);
  registry().of[context] = this;
}

CallDescriptors::~CallDescriptors() {
  absl::MutexLock lock(&registry().mutex);
  registry().of.erase(context_);
}

CallDescriptors* CallDescriptors::Of(const grpc::ClientContext* context) {
  absl::MutexLock lock(&registry().mutex);
  const auto found = registry().of.find(context);
  return found == registry().of.end() ? nullptr : found->second;
}

absl::StatusOr<UniqueFd> CallDescriptors::Take(const v1::Descriptor& field) {
  if (field.slot() == 0 || field.slot() > received_.size() ||
      !received_[field.slot() - 1].valid()) {
    return absl::NotFoundError("take descriptor: the field names none");
  }
  return std::move(received_[field.slot() - 1]);
}

void CallDescriptors::Attach(UniqueFd fd, v1::Descriptor* field) {
  attached_.push_back(std::move(fd));
  field->set_slot(static_cast<uint32_t>(attached_.size()));
}

}  // namespace capbroker
