#include "serving/lane/method_table.h"

#include <algorithm>

#include "capbroker/v1/authority.pb.h"
#include "transport/packet.h"

namespace capbroker::serving {

std::shared_ptr<const MethodTable> MethodTable::Build(const std::vector<Dispatch*>& services,
                                                      const authority::ServiceSchema* checked) {
  auto table = std::make_shared<MethodTable>();
  for (Dispatch* dispatch : services) {
    const google::protobuf::ServiceDescriptor* service = dispatch->descriptor();
    const bool has_checks = checked != nullptr && &checked->descriptor() == service;
    size_t bound = service->options().GetExtension(v1::authority).max_message_bytes();
    if (bound == 0) bound = transport::kDefaultMaxMessageSize;
    for (const DispatchMethod& method : dispatch->methods()) {
      ServedMethod served;
      served.dispatch = dispatch;
      served.method = &method;
      served.schema = has_checks ? &checked->methods()[static_cast<size_t>(method.index)] : nullptr;
      served.request_descriptors = method.request_descriptors;
      served.response_descriptors = method.response_descriptors;
      served.max_message_bytes = std::min(bound, transport::kMaxMessageSize);
      table->max_message_bytes_ = std::max(table->max_message_bytes_, served.max_message_bytes);
      table->methods_.emplace(method.id, served);
    }
  }
  return table;
}

const ServedMethod* MethodTable::Find(uint64_t id) const {
  const auto found = methods_.find(id);
  return found == methods_.end() ? nullptr : &found->second;
}

}  // namespace capbroker::serving
