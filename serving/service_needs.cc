#include "serving/service_needs.h"

namespace capbroker::serving {

ServiceReach ReachOf(const ServiceNeeds& needs, const google::protobuf::Any& limits,
                     const google::protobuf::Any& settings) {
  ServiceReach reach;
  if (needs.as_opened != nullptr) reach = needs.as_opened(limits, settings);
  for (const std::string& path : needs.reads) reach.files.push_back({.path = path, .read = true});
  reach.tcp_ports.insert(reach.tcp_ports.end(), needs.tcp_ports.begin(), needs.tcp_ports.end());
  return reach;
}

}  // namespace capbroker::serving
