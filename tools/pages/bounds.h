// What bounds the calls of a service, read from the options of its proto: the rows that
// the pages are made of.
//
// From the descriptors alone, so that it also tells about services that are not checked by
// authority/ (the broker's own). That the checker reads the same options the same way is
// what authority/schema_compiler.cc refuses to compile without.
//
// Runs at build time.
#ifndef TOOLS_PAGES_BOUNDS_H_
#define TOOLS_PAGES_BOUNDS_H_

#include <string>
#include <vector>

#include "capbroker/v1/authority.pb.h"
#include "google/protobuf/descriptor.h"

namespace capbroker::tools {

// A field of a request, at any depth: "targets.name".
struct BoundField {
  std::string path;
  const google::protobuf::FieldDescriptor* field = nullptr;
  std::string type;        // "string", "repeated Color"
  std::string bounded_by;  // limits field, or empty
  v1::LimitKind kind = v1::LIMIT_KIND_UNSPECIFIED;
  std::string unbounded;  // the reason, or empty
  uint32_t max_length = 0;
  std::string descriptor;  // what a Descriptor must be, or empty
};

// A descriptor in a message: what it must be.
struct CarriedDescriptor {
  std::string path;
  std::string rights;
  bool leased = false;
};

// A budget field, and what of a call it counts.
struct Charge {
  const google::protobuf::FieldDescriptor* field = nullptr;
  v1::BudgetRule rule;
};

const google::protobuf::Descriptor* LimitsOf(const google::protobuf::ServiceDescriptor& service);
const google::protobuf::Descriptor* BudgetOf(const google::protobuf::ServiceDescriptor& service);
uint32_t MaxMessageBytes(const google::protobuf::ServiceDescriptor& service);

// In declaration order, each message field before its own fields.
std::vector<BoundField> RequestFields(const google::protobuf::MethodDescriptor& method);
std::vector<CarriedDescriptor> DescriptorsIn(const google::protobuf::Descriptor& message);
// Those that calling the method uses up.
std::vector<Charge> ChargesOf(const google::protobuf::MethodDescriptor& method);

// "255 bytes", "at most 2 entries" and so on; empty without a bound.
std::string LengthInWords(const BoundField& field);

}  // namespace capbroker::tools

#endif  // TOOLS_PAGES_BOUNDS_H_
