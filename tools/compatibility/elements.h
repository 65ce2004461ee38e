// The elements of a FileDescriptorSet by full name, for compatibility.cc.
#ifndef TOOLS_COMPATIBILITY_ELEMENTS_H_
#define TOOLS_COMPATIBILITY_ELEMENTS_H_

#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "google/protobuf/descriptor.pb.h"

namespace capbroker::tools {

// In declaration order, and findable by full name. Points into the set, which outlives it.
template <typename Element>
class Named {
 public:
  void Add(std::string name, const Element& element) {
    by_name_.emplace(name, &element);
    in_order_.emplace_back(std::move(name), &element);
  }
  const Element* Find(const std::string& name) const {
    const auto found = by_name_.find(name);
    return found == by_name_.end() ? nullptr : found->second;
  }
  auto begin() const { return in_order_.begin(); }
  auto end() const { return in_order_.end(); }

 private:
  std::vector<std::pair<std::string, const Element*>> in_order_;
  std::map<std::string, const Element*> by_name_;
};

struct Elements {
  explicit Elements(const google::protobuf::FileDescriptorSet& set);

  Named<google::protobuf::FileDescriptorProto> files;
  Named<google::protobuf::DescriptorProto> messages;
  Named<google::protobuf::EnumDescriptorProto> enums;
  Named<google::protobuf::ServiceDescriptorProto> services;
  Named<google::protobuf::FieldDescriptorProto> extensions;  // by the full name
  // Names of limits fields that every message with one gives as FLAGS: unset, such
  // a field refuses no request that leaves its own field unset.
  std::set<std::string> flags;
  // Full names of the messages that requests are or contain.
  std::set<std::string> in_requests;

 private:
  void AddMessage(const std::string& scope, const google::protobuf::DescriptorProto& message);
  void AddRequest(const std::string& type_name);
};

}  // namespace capbroker::tools

#endif  // TOOLS_COMPATIBILITY_ELEMENTS_H_
